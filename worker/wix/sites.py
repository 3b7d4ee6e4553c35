"""The parts of Wix's answers about sites that we read.

Their fields are described in W80 to W83.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


class _Wire(BaseModel):
    model_config = ConfigDict(
        frozen=True, alias_generator=to_camel, populate_by_name=True, hide_input_in_errors=True
    )


class SiteProperties(_Wire):
    """The merchant's entries under Business Info; any of them may be empty."""

    site_display_name: str | None = None
    payment_currency: str | None = None
    """ISO 4217 code."""
    time_zone: str | None = None
    """IANA name."""


class SitePropertiesAnswer(_Wire):
    """The answer of Site Properties, W81."""

    properties: SiteProperties


class Site(_Wire):
    """One site of an account."""

    id: str
    display_name: str | None = None
    owner_account_id: str | None = None
    trashed_date: str | None = None
    """Set while the site is in the trash."""
    blocked: bool | None = None


class SitesAnswer(_Wire):
    """The answer of Query Sites, without its cursors. W80."""

    sites: list[Site] | None = None


class _OrderId(_Wire):
    id: str


class OrdersFound(_Wire):
    """The answer of Search Orders: only the ids. W22."""

    orders: list[_OrderId] | None = None


class CatalogVersion(_Wire):
    """The answer of Get Catalog Version. W83."""

    catalog_version: str = ""


class CurrenciesAnswer(_Wire):
    """The answer of List Currencies; only its arrival matters. W82."""
