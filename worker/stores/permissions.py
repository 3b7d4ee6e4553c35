"""The checkboxes of Wix's API key dialogue (Account Settings → API Keys), and what each permits.

Wix does not publish which box permits which call; this table is inferred (W10).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

GET_SITES_LIST = "Get Sites List"
MANAGE_SITES = "Manage Sites"
WIX_STORES = "Wix Stores"
WIX_CURRENCIES = "Wix Currencies"
BUSINESS_INFO = "Business Info"

#: Calls that need another box than Wix Stores.
_BOX_OF: Mapping[str, str] = MappingProxyType(
    {
        "query_sites": GET_SITES_LIST,
        "list_currencies": WIX_CURRENCIES,
        "get_site_properties": BUSINESS_INFO,
    }
)


def box_of(endpoint: str) -> str:
    """Return the box that permits a call."""
    return _BOX_OF.get(endpoint, WIX_STORES)


def how_to_tick(box: str) -> str:
    """Say what to do about a missing box."""
    return (
        f"In the Wix dashboard, Account Settings → API Keys, tick “{box}” for this store's key;"
        " if the key cannot be changed, make a new one with all five boxes and connect it"
        " (`refunds stores connect`)."
    )
