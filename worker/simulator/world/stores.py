"""Accounts, keys and sites as Wix keeps them."""

from __future__ import annotations

from dataclasses import dataclass, field

from worker.simulator.contract.refusals import Json
from worker.simulator.contract.routes import ALL_SCOPES


@dataclass
class Key:
    """An API key: whose it is, which boxes are ticked, which sites it may see."""

    account_id: str
    scopes: frozenset[str] = ALL_SCOPES
    sites: frozenset[str] | None = None
    """None: all of its account's sites."""
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
    """When the site went to the trash, if it did."""
    blocked: bool = False
    namespace: str = "WIX"
    """HEADLESS sites are seen only when asked for. W80."""
    catalog_version: str = "V1_CATALOG"
    currencies: tuple[str, ...] = ("USD", "EUR", "GBP", "ILS", "JPY")
    created_date: str = "2015-04-19T15:22:42.498Z"
    extra: Json = field(default_factory=dict)
    """Laid over what Query Sites shows."""

    @property
    def is_closed(self) -> bool:
        """Whether the site is trashed or blocked."""
        return bool(self.trashed_date) or self.blocked

    def wire(self) -> Json:
        """As Query Sites shows it. W80."""
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
        """As Get Site Properties shows them. W81."""
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
