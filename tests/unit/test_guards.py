"""The texts of the money guards' limits."""

from __future__ import annotations

from decimal import Decimal

import pytest

from config.guards import (
    Limit,
    Surge,
    check_amounts,
    check_limits,
    check_surge,
    check_totals,
    limit_for,
    parse_surge,
)
from config.loading import SettingsError, load_settings
from worker.flows.guarding import units_of
from worker.refund.approvals import approval_from, person_of

SITE = "4b296c48-0000-4000-8000-000000000001"


def test_a_limit_has_a_number_of_refunds_and_amounts() -> None:
    """In any order; a store of its own has nothing of the others."""
    text = f"5000 USD, 100 refunds,0.5 EUR; {SITE.upper()}: 1 refund"
    every = Limit(100, {"USD": Decimal(5000), "EUR": Decimal("0.5")})
    assert limit_for(text, "another") == every
    assert limit_for(text, SITE) == Limit(1)
    assert limit_for(None, SITE) == Limit()


@pytest.mark.parametrize(
    "text",
    ["", "100", "5000", "USD 5", "5 usd", "5 USD, 6 USD", "1 refund, 2 refunds", "-1 USD",
     "1e3 USD", "1.00001 USD", "5 USD;", "5 USD; shop: 6 USD",
     f"5 USD; {SITE}: 6 USD; {SITE.upper()}: 7 USD", "NaN USD", "123456789012 USD", "5 USD, "],
)  # fmt: skip
def test_anything_else_is_refused(text: str) -> None:
    """A limit that is understood wrongly is worse than none."""
    with pytest.raises(ValueError, match=r"expected limits|must be SITE_ID"):
        check_limits(text)


def test_each_setting_takes_what_makes_sense() -> None:
    """One refund has no number, and a limit for all stores names none."""
    with pytest.raises(ValueError, match="not a number of refunds"):
        check_amounts("5 USD, 1 refund")
    with pytest.raises(ValueError, match="cannot name a store"):
        check_totals(f"5 USD; {SITE}: 6 USD")
    assert check_amounts(f"5 USD; {SITE}: 6 USD")
    assert check_totals("5 USD, 1 refund")


def test_a_surge_is_a_multiple_above_a_number() -> None:
    """Less than once the usual number would hold what is usual."""
    assert parse_surge("2.5x above 20") == Surge(Decimal("2.5"), 20)
    assert parse_surge(None) is None
    for text in ("0.5x above 20", "2x", "2 above 3", "x above 3"):
        with pytest.raises(ValueError, match="TIMESx above NUMBER"):
            check_surge(text)


def test_a_wrong_limit_stops_the_start_with_its_name() -> None:
    """And does not repeat it."""
    given = {"REFUNDS_REDIS_URL": "redis://localhost", "REFUNDS_GUARD_REFUND": "lots"}
    with pytest.raises(SettingsError, match="REFUNDS_GUARD_REFUND is invalid: expected limits"):
        load_settings(given)


def test_amounts_are_counted_in_ten_thousandths_rounded_up() -> None:
    """Never less than what moves."""
    assert [units_of(Decimal(text)) for text in ("12.34", "0.00001", "7")] == [123_400, 1, 70_000]


def test_names_are_compared_as_people_write_them() -> None:
    """Case, blanks and wide letters make nobody else; another name does."""
    assert len({person_of(name) for name in ("Ann Lee", " ann  lee", "\uff21nn Lee")}) == 1
    assert person_of("ann") != person_of("anna")


def test_each_limit_says_what_would_be_passed() -> None:
    """In words that a person can decide by."""
    passed = [
        {"limit": "refund", "kind": "unknown", "most": "0", "would_be": "0"},
        {"limit": "two_people", "kind": "amount", "most": "1000000", "would_be": "1015000"},
        {"limit": "store_hour", "kind": "count", "most": "100", "would_be": "101"},
        {"limit": "all_day", "kind": "amount", "most": "1000000", "would_be": "1000001"},
        {"limit": "store_surge", "kind": "count", "most": "20", "would_be": "21"},
    ]
    asks = {"units": "-1", "currency": "USD", "people": 2, "passed": passed}
    approval = approval_from(asks)
    assert (approval.amount, approval.people) == (None, 2)
    assert approval.why.split("; ") == [
        "the amount is not known",
        "101.50 USD is more than one person may approve (100.00 USD)",
        "number 101 of the store within an hour (the limit is 100)",
        "all stores would reach 100.0001 USD within a day (the limit is 100.00 USD)",
        "number 21 of the store within an hour, far more than usual (over 20)",
    ]
