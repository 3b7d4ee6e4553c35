"""The parts of Wix's answers about sites that we read.

Their fields are described in W80 to W83.
"""

from __future__ import annotations

from typing import Any

from worker.wix.models import Answer, Lenient


class SiteProperties(Answer):
    """The merchant's entries under Business Info; any of them may be empty."""

    site_display_name: Lenient[str] = None
    payment_currency: Lenient[str] = None
    """ISO 4217 code."""
    time_zone: Lenient[str] = None
    """IANA name."""


class SitePropertiesAnswer(Answer):
    """The answer of Site Properties, W81."""

    properties: SiteProperties


class Site(Answer):
    """One site of an account."""

    id: str
    display_name: Lenient[str] = None
    owner_account_id: Lenient[str] = None
    trashed_date: Any = None
    """Set while the site is in the trash."""
    blocked: Lenient[bool] = None


class SitesAnswer(Answer):
    """The answer of Query Sites, without its cursors. W80."""

    sites: tuple[Site, ...]


class OrderId(Answer):
    """An order of which only the id is read."""

    id: str


class OrdersFound(Answer):
    """The answer of Search Orders: only the ids. W22."""

    orders: tuple[OrderId, ...]


class NumberedOrder(Answer):
    """An order of which only id and number are read."""

    id: str
    number: str


class NumberedOrders(Answer):
    """The answer of a search by number. W22."""

    orders: tuple[NumberedOrder, ...]


class CatalogVersion(Answer):
    """The answer of Get Catalog Version. W83."""

    catalog_version: str


class CurrenciesAnswer(Answer):
    """The answer of List Currencies. W82.

    That the field is there tells the answer from an error.
    """

    currencies: list[Any]
