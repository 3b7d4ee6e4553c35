"""Why an order is refunded: a closed list, and what other platforms call it.

Shopify has one list for returns (`ReturnReason`) and one for cancelled orders
(`OrderCancelReason`), Violet has one for both (`reason_code`). Saleor has no list: its `reason` is
free text, beside a reference to a page that each shop defines; so give it the sentence.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple


class ReasonCode(NamedTuple):
    """One code, and what the other platforms call it."""

    meaning: str
    """A sentence for people, and for Saleor's `reason`."""
    shopify_return: str
    """Shopify's `ReturnReason`."""
    shopify_cancel: str
    """Shopify's `OrderCancelReason`."""
    violet: str
    """Violet's `reason_code`."""


REASON_CODES: Mapping[str, ReasonCode] = MappingProxyType(
    {
        "changed_mind": ReasonCode(
            "The customer changed their mind.", "UNWANTED", "CUSTOMER", "CUSTOMER"
        ),
        "defective": ReasonCode(
            "The item is damaged or defective.", "DEFECTIVE", "OTHER", "CUSTOMER"
        ),
        "not_as_described": ReasonCode(
            "The item is not as described.", "NOT_AS_DESCRIBED", "OTHER", "CUSTOMER"
        ),
        "wrong_item": ReasonCode(
            "The customer received the wrong item.", "WRONG_ITEM", "STAFF", "CUSTOMER"
        ),
        "size_too_small": ReasonCode(
            "The size is too small.", "SIZE_TOO_SMALL", "CUSTOMER", "CUSTOMER"
        ),
        "size_too_large": ReasonCode(
            "The size is too large.", "SIZE_TOO_LARGE", "CUSTOMER", "CUSTOMER"
        ),
        "color": ReasonCode(
            "The customer does not like the color.", "COLOR", "CUSTOMER", "CUSTOMER"
        ),
        "style": ReasonCode(
            "The customer does not like the style.", "STYLE", "CUSTOMER", "CUSTOMER"
        ),
        "out_of_stock": ReasonCode("The item is out of stock.", "OTHER", "INVENTORY", "INVENTORY"),
        "fraud": ReasonCode("The order is fraudulent.", "OTHER", "FRAUD", "FRAUD"),
        "payment_declined": ReasonCode(
            "The payment was declined.", "OTHER", "DECLINED", "DECLINED"
        ),
        "staff_error": ReasonCode("The shop made a mistake.", "OTHER", "STAFF", "OTHER"),
        "other": ReasonCode("Another reason.", "OTHER", "OTHER", "OTHER"),
        "unknown": ReasonCode("The reason is not known.", "UNKNOWN", "OTHER", "OTHER"),
    }
)
_LISTS = ("shopify_return", "shopify_cancel", "violet")
#: The codes of values that several of ours are mapped to.
_AMBIGUOUS: Mapping[tuple[str, str], str] = MappingProxyType(
    {
        ("shopify_return", "OTHER"): "other",
        ("shopify_cancel", "OTHER"): "other",
        ("shopify_cancel", "CUSTOMER"): "changed_mind",
        ("shopify_cancel", "STAFF"): "staff_error",
        ("violet", "OTHER"): "other",
        ("violet", "CUSTOMER"): "changed_mind",
    }
)


def reason_code_for(platform: str, value: str) -> str:
    """Return our code for a value of `shopify_return`, `shopify_cancel` or `violet`.

    A value that is in none of our lists, such as one that is newer than they are, is `other`.

    Raises:
        ValueError: there is no such list.
    """
    if platform not in _LISTS:
        raise ValueError(f"expected one of {', '.join(_LISTS)}")
    if (platform, value) in _AMBIGUOUS:
        return _AMBIGUOUS[platform, value]
    found = [code for code, row in REASON_CODES.items() if getattr(row, platform) == value]
    return found[0] if found else "other"
