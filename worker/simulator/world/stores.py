"""API keys and sites."""

from __future__ import annotations

from dataclasses import dataclass, field

from worker.simulator.contract.refusals import Json
from worker.simulator.contract.routes import ALL_SCOPES


@dataclass
class Key:
    """An API key: its account, the boxes that are ticked, and the sites it applies to."""

    account_id: str
    scopes: frozenset[str] = ALL_SCOPES
    sites: frozenset[str] | None = None
    """None means all sites of the account."""
    revoked: bool = False


@dataclass
class Store:
    """One site."""

    site_id: str
    account_id: str
    name: str = "Coffee and more"
    currency: str = "USD"
    time_zone: str = "America/New_York"
    language: str = "en"
    country: str = "US"
    email: str = "owner@example.com"
    premium: bool = True
    published: bool = True
    trashed_date: str = ""
    """When the site was moved to the trash; empty if it was not."""
    blocked: bool = False
    namespace: str = "WIX"
    """HEADLESS sites are listed only if the filter includes them. W80."""
    catalog_version: str = "V1_CATALOG"
    currencies: tuple[str, ...] = ("USD", "EUR", "GBP", "ILS", "JPY")
    created_date: str = "2015-04-19T15:22:42.498Z"
    extra: Json = field(default_factory=dict)
    """Fields that override those of the answer."""

    @property
    def is_closed(self) -> bool:
        """Whether the site is in the trash or blocked."""
        return bool(self.trashed_date) or self.blocked

    def wire(self) -> Json:
        """Return the site as in the answer to Query Sites. W80."""
        return {
            "id": self.site_id,
            "name": self.name,
            "displayName": self.name,
            "createdDate": self.created_date,
            "updatedDate": self.created_date,
            "published": self.published,
            "premium": self.premium,
            "viewUrl": "https://example-user.wixsite.com/store",
            "editUrl": "https://editor.wix.com/html/editor",
            "ownerAccountId": self.account_id,
            "contributorAccountIds": [],
            "editorType": "EDITOR",
            "blocked": self.blocked,
            "namespace": self.namespace,
            "domainConnected": False,
            **({"trashedDate": self.trashed_date} if self.trashed_date else {}),
            **self.extra,
        }

    def properties(self) -> Json:
        """Return the properties as in the answer to Get Site Properties. W81."""
        return {
            "categories": {"primary": "store", "secondary": []},
            "locale": {"languageCode": self.language, "country": self.country},
            "language": self.language,
            "paymentCurrency": self.currency,
            "timeZone": self.time_zone,
            "email": self.email,
            "siteDisplayName": self.name,
            "businessName": self.name,
            "description": "",
        }
