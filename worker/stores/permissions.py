"""The boxes of the Wix dashboard (Account Settings → API Keys) and which calls each one opens.

Wix does not publish which box opens which call; the table is inferred. W10.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

GET_SITES_LIST = "Get Sites List"
MANAGE_SITES = "Manage Sites"
WIX_STORES = "Wix Stores"
WIX_CURRENCIES = "Wix Currencies"
BUSINESS_INFO = "Business Info"

#: In the dashboard's order and words: two of the account, three of the site.
BOXES = (GET_SITES_LIST, MANAGE_SITES, WIX_STORES, WIX_CURRENCIES, BUSINESS_INFO)

#: Calls outside of `/ecom` and `/stores`; all others are opened by Wix Stores.
_BOX_OF: Mapping[str, str] = MappingProxyType(
    {
        "query_sites": GET_SITES_LIST,
        "list_currencies": WIX_CURRENCIES,
        "get_site_properties": BUSINESS_INFO,
    }
)
#: Calls under `/ecom/v1/order-billing`, which a key may lack although it reads orders.
BILLING = frozenset(
    {"get_order_refundability", "calculate_refund", "submit_refund", "void_payments"}
)


def box_of(endpoint: str) -> str:
    """The box that opens a call."""
    return _BOX_OF.get(endpoint, WIX_STORES)


def how_to_tick(box: str) -> str:
    """What a person does about a missing box."""
    return (
        f"In the Wix dashboard, Account Settings → API Keys, tick “{box}” for this store's key;"
        " if it cannot be changed, make a new key with all five boxes and connect it"
        " (`refunds stores connect`)."
    )
