"""Codes of other platforms lead to ours and back."""

from __future__ import annotations

import pytest

from worker.upstream.reason_codes import REASON_CODES, reason_code_for

#: The lists in the documentation of Shopify and Violet.
LISTS = {
    "shopify_return": {
        "COLOR", "DEFECTIVE", "NOT_AS_DESCRIBED", "OTHER", "SIZE_TOO_LARGE", "SIZE_TOO_SMALL",
        "STYLE", "UNKNOWN", "UNWANTED", "WRONG_ITEM",
    },
    "shopify_cancel": {"CUSTOMER", "DECLINED", "FRAUD", "INVENTORY", "OTHER", "STAFF"},
    "violet": {"CUSTOMER", "DECLINED", "FRAUD", "INVENTORY", "OTHER"},
}  # fmt: skip


@pytest.mark.parametrize("platform", LISTS)
def test_each_value_leads_to_a_code_that_leads_back(platform: str) -> None:
    """Nothing gets lost on the way there and back."""
    for value in LISTS[platform]:
        assert getattr(REASON_CODES[reason_code_for(platform, value)], platform) == value


@pytest.mark.parametrize("platform", LISTS)
def test_each_code_has_a_value_of_the_platform(platform: str) -> None:
    """No other word is sent to it."""
    assert {getattr(row, platform) for row in REASON_CODES.values()} <= LISTS[platform]


def test_a_value_that_is_newer_than_the_list_is_other() -> None:
    """A refund does not fail because of it."""
    assert reason_code_for("violet", "WEATHER") == "other"
    with pytest.raises(ValueError, match="shopify_return, shopify_cancel, violet"):
        reason_code_for("saleor", "x")
