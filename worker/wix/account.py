"""The read-only calls by which a store's key is checked. Nothing here changes anything at Wix."""

from __future__ import annotations

from worker.wix.calls import Calls
from worker.wix.client import ClientFactory, WixStore, forbid_mutation
from worker.wix.sites import CatalogVersion, CurrenciesAnswer, OrdersFound, Site, SitesAnswer


class WixSite(WixStore):
    """A site while its key is checked."""

    def search_orders(self) -> list[str]:
        """Read the id of one order, if there is any. W22."""
        body = {"search": {"cursorPaging": {"limit": 1}}}
        found = self._call("search_orders", "POST", "/ecom/v1/orders/search", OrdersFound, body)
        return [order.id for order in found.orders or []]

    def get_catalog_version(self) -> str:
        """Ask whether Wix Stores is installed. W83."""
        path = "/stores/v3/provision/version"
        return self._call("get_catalog_version", "GET", path, CatalogVersion).catalog_version

    def list_currencies(self) -> None:
        """Read the currencies, to see whether the key may. W82."""
        self._call("list_currencies", "GET", "/currency_converter/v1/currencies", CurrenciesAnswer)


class WixAccount(Calls):
    """The account that the key belongs to."""

    def query_sites(self, site_id: str) -> list[Site]:
        """Read one site of the account, none if it is not the account's. W80."""
        wanted = {"id": {"$in": [site_id]}, "namespace": {"$in": ["WIX", "HEADLESS"]}}
        body = {"query": {"filter": wanted, "cursorPaging": {"limit": 10}}}
        answer = self._call("query_sites", "POST", "/site-list/v2/sites/query", SitesAnswer, body)
        return answer.sites or []


def site_of(factory: ClientFactory, site_id: str, api_key: str) -> WixSite:
    """The site, under this key."""
    return WixSite(*factory.connection(), api_key, {"wix-site-id": site_id}, forbid_mutation)


def account_of(factory: ClientFactory, account_id: str, api_key: str) -> WixAccount:
    """The account, under this key."""
    return WixAccount(
        *factory.connection(), api_key, {"wix-account-id": account_id}, forbid_mutation
    )
