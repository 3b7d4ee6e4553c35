"""The calls that check a store's API key. None of them changes anything at Wix."""

from __future__ import annotations

from worker.wix.calls import Calls
from worker.wix.client import ClientFactory, WixStore, forbid_mutation
from worker.wix.sites import CatalogVersion, CurrenciesAnswer, Site, SitesAnswer


class WixSite(WixStore):
    """A site whose API key is being checked."""

    def get_catalog_version(self) -> str:
        """Return the catalog version, which says whether Wix Stores is installed. W83."""
        path = "/stores/v3/provision/version"
        return self._call("get_catalog_version", "GET", path, CatalogVersion).catalog_version

    def list_currencies(self) -> None:
        """Read the currencies, to see whether the key is allowed to. W82."""
        self._call("list_currencies", "GET", "/currency_converter/v1/currencies", CurrenciesAnswer)


class WixAccount(Calls):
    """The account that the API key belongs to."""

    def query_sites(self, site_id: str) -> tuple[Site, ...]:
        """Return the site if it belongs to the account, else nothing. W80."""
        wanted = {"id": {"$in": [site_id]}, "namespace": {"$in": ["WIX", "HEADLESS"]}}
        body = {"query": {"filter": wanted, "cursorPaging": {"limit": 10}}}
        answer = self._call("query_sites", "POST", "/site-list/v2/sites/query", SitesAnswer, body)
        return answer.sites


def site_of(factory: ClientFactory, site_id: str, api_key: str) -> WixSite:
    """Return a client of the site that uses this API key."""
    return WixSite(factory.channel, api_key, {"wix-site-id": site_id}, forbid_mutation)


def account_of(factory: ClientFactory, account_id: str, api_key: str) -> WixAccount:
    """Return a client of the account that uses this API key."""
    return WixAccount(factory.channel, api_key, {"wix-account-id": account_id}, forbid_mutation)
