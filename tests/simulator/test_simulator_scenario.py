"""Flags and scenarios of `refunds simulator`, and the errors of invalid ones."""

from __future__ import annotations

import re
from dataclasses import asdict, fields
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.house.documents import ROOT
from worker.simulator import Flags, Simulator
from worker.simulator.scenario import load_scenario, set_up
from worker.simulator.script.flag_table import flag_rows, flags_from_text
from worker.simulator.script.reading import InvalidInput
from worker.simulator.world.stores import Key
from worker.stores.pasted import clean

AFTER = "2025-01-02T03:04:05Z"
LINE = {"price": "1.00"}
MOMENT = "must be a date and time with a time zone, such as 2025-01-02T03:04:05Z"
AMOUNT = 'must be an amount in quotes, such as "12.50"'
SITE, ACCOUNT = "4b296c48-0000-4000-8000-000000000001", "0f5b7a1e-0000-4000-8000-000000000002"


def test_the_table_of_flags_is_complete() -> None:
    """`--flags` lists every flag with its default and a sentence."""
    rows = flag_rows()
    assert [row.name for row in rows] == [field.name for field in fields(Flags)]
    assert {row.name: row.default for row in rows} == asdict(Flags())
    assert all(row.meaning.endswith(".") and row.values for row in rows)


def test_flags_are_read_from_text() -> None:
    """Words, numbers, booleans and none."""
    pairs = ["cancel_twice=428", "provider_ms=5", "fingerprint_kept=false", "throttled_s=none"]
    assert flags_from_text(pairs) == {
        "cancel_twice": "428",
        "provider_ms": 5,
        "fingerprint_kept": False,
        "throttled_s": None,
    }
    assert flags_from_text(["throttled_s=7"]) == {"throttled_s": 7}


@pytest.mark.parametrize(
    ("pair", "error"),
    [
        ("cancel_twice", "--flag cancel_twice: write it as name=value"),
        ("cancel_twice=5", '--flag cancel_twice: must be one of ok, 428, not "5"'),
        ("cancel_once=5", "--flag: unknown name cancel_once; expected one of cancel_twice, "),
        ("provider_ms=x", '--flag provider_ms: must be a whole number, not "x"'),
        ("fingerprint_kept=no", '--flag fingerprint_kept: must be true or false, not "no"'),
    ],
)
def test_an_invalid_flag_is_refused_with_the_valid_ones(pair: str, error: str) -> None:
    """The error lists the names, or the values of the name."""
    with pytest.raises(InvalidInput, match=re.escape(error)):
        flags_from_text([pair])


def test_flags_are_checked_wherever_they_are_set() -> None:
    """Otherwise a misspelt flag would make a test meaningless."""
    with pytest.raises(ValueError, match="flags: unknown name cancel_trice"):
        Simulator().set_flags(cancel_trice="ok")
    with pytest.raises(ValueError, match="must be one of ok, 428"):
        Simulator().set_flags(cancel_twice="OK")


def _with_order(**order: Any) -> dict[str, Any]:
    return {"stores": [{"orders": [{"created_date": AFTER} | order]}]}


def _with_parcel(**item: Any) -> dict[str, Any]:
    return _with_order(lines=[LINE], fulfillments=[{"lineItems": [item]}])


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"shops": []}, "unknown name shops; expected one of flags, stores, keys, faults"),
        ({"flags": {"cancel": "ok"}}, "flags: unknown name cancel; expected one of cancel_twice, "),
        ({"flags": {"provider_ms": -5}}, "flags.provider_ms: must be 0 or more, not -5"),
        ({"stores": {}}, "stores: must be a list of tables: [[...]], not a table"),
        ({"stores": [1]}, "stores[0]: must be a table, not 1"),
        ({"stores": [{"nam": "x"}]}, "stores[0]: unknown name nam; expected one of site_id, "),
        ({"stores": [{"name": 5}]}, "stores[0].name: must be text, not 5"),
        (
            {"stores": [{"scopes": ["All"]}]},
            "stores[0].scopes[0]: must be one of Business Info, ",
        ),
        ({"stores": [{"scopes": "All"}]}, 'stores[0].scopes: must be a list, not "All"'),
        ({"stores": [{"premium": 1}]}, "stores[0].premium: must be true or false, not 1"),
        ({"stores": [{"published": "y"}]}, 'stores[0].published: must be true or false, not "y"'),
        ({"stores": [{"currency": "eur"}]}, "stores[0].currency: must be three capital letters"),
        (
            {"stores": [{"currencies": ["EUR", "x"]}]},
            "stores[0].currencies[1]: must be three capital letters",
        ),
        ({"stores": [{"site_id": "shop"}]}, "stores[0].site_id: must be a UUID, such as 4b296c48-"),
        ({"stores": [{"orders": [{}]}]}, "stores[0].orders[0].created_date: is required"),
        (_with_order(refunds=[]), "stores[0].orders[0]: unknown name refunds; expected one of "),
        (_with_order(cancellations=1), "stores[0].orders[0]: unknown name cancellations; "),
        (_with_order(shipping=1.5), f"stores[0].orders[0].shipping: {AMOUNT}, not 1.5"),
        (_with_order(shipping="1,5"), f'shipping: {AMOUNT}, not "1,5"'),
        (_with_order(shipping="NaN"), f'shipping: {AMOUNT}, not "NaN"'),
        (_with_order(shipping="-1"), "orders[0].shipping: must be 0 or more, not "),
        (_with_order(amounts=["x"]), f'amounts[0]: {AMOUNT}, not "x"'),
        (_with_order(amounts=["1", "1e999999"]), "stores[0].orders[0]: "),
        (_with_order(lines=[{}]), "stores[0].orders[0].lines[0].price: is required"),
        (
            _with_order(lines=[LINE | {"quantity": True}]),
            "stores[0].orders[0].lines[0].quantity: must be a whole number, not true",
        ),
        (_with_order(lines=[LINE | {"quantity": -1}]), "quantity: must be 0 or more, not -1"),
        (
            _with_order(payments=[{"amount": "1", "kind": "cash"}]),
            'payments[0].kind: must be one of card, gift_card, membership, not "cash"',
        ),
        (
            _with_order(lines=[LINE], fulfillments=2),
            "stores[0].orders[0]: an order has no more fulfillments than lines",
        ),
        (_with_order(fulfillments=-1), "orders[0].fulfillments: must be 0 or more, not -1"),
        (_with_order(fulfillments=True), "fulfillments: must be a whole number, not true"),
        (_with_order(fulfillments=[{}]), "fulfillments[0].lineItems: is required"),
        (_with_parcel(index=7), "stores[0].orders[0]: the order has no line 7"),
        (_with_parcel(id="x"), "stores[0].orders[0]: the order has no line x"),
        (_with_parcel(), "orders[0]: an item of a fulfillment needs the index or the id of a line"),
        (
            _with_order(faults=[{"kind": "drop", "endpoint": "cancel"}]),
            "stores[0].orders[0].faults[0].endpoint: must be one of *, add_activities, ",
        ),
        (_with_order(created_date=date(2025, 1, 2)), f"created_date: {MOMENT}, not 2025-01-02"),
        (_with_order(created_date=datetime(2025, 1, 2, 3)), f"created_date: {MOMENT}, not 2025"),  # noqa: DTZ001 - a TOML time without a zone
        (_with_order(created_date="yesterday"), f'created_date: {MOMENT}, not "yesterday"'),
        (_with_order(order_id="o-1"), "orders[0].order_id: must be a UUID, such as 4b296c48-"),
        (_with_order(currency="euro"), "currency: must be three capital letters, such as EUR, not"),
        ({"faults": [{}]}, "faults[0].kind: is required"),
        ({"faults": [{"kind": "burn"}]}, "faults[0].kind: must be one of status, lost_reply, "),
        ({"keys": [{"api_key": "k"}]}, "keys[0].account_id: is required"),
    ],
)
def test_an_invalid_scenario_is_refused_with_the_place(given: dict[str, Any], error: str) -> None:
    """The error also says what is allowed there."""
    with pytest.raises(InvalidInput, match=re.escape(error)):
        set_up(Simulator(), given)


def test_all_errors_of_a_scenario_are_reported_at_once() -> None:
    """One per line, in the order of the fields."""
    with pytest.raises(InvalidInput) as caught:
        set_up(Simulator(), {"faults": [{}], "stores": [{"name": 5, "premium": 1}]})
    assert [line.split(":")[0] for line in str(caught.value).splitlines()] == [
        "stores[0].name",
        "stores[0].premium",
        "faults[0].kind",
    ]


def test_errors_in_a_file_start_with_its_path(tmp_path: Path) -> None:
    """It may be missing, not TOML, or not a scenario."""
    path = tmp_path / "invalid.toml"
    with pytest.raises(InvalidInput, match=re.escape(f"{path}: No such file")):
        load_scenario(path, Simulator())
    path.write_text("[stores\n")
    with pytest.raises(InvalidInput, match=re.escape(f"{path}: this is not TOML: Expected ']'")):
        load_scenario(path, Simulator())
    path.write_text("[[stores]]\nnam = 1\n")
    with pytest.raises(InvalidInput, match=re.escape(f"{path}: stores[0]: unknown name nam;")):
        load_scenario(path, Simulator())


def test_a_scenario_adds_keys_of_an_account(tmp_path: Path) -> None:
    """With their scopes and sites."""
    path = tmp_path / "keys.toml"
    path.write_text(
        f'[[stores]]\nsite_id = "{SITE}"\naccount_id = "{ACCOUNT}"\nscopes = ["Wix Stores"]\n'
        f'[[keys]]\napi_key = "k"\naccount_id = "{ACCOUNT}"\nscopes = ["Get Sites List"]\n'
        f'sites = ["{SITE}"]\n'
    )
    simulator = Simulator()
    load_scenario(path, simulator)
    key = simulator.keys["k"]
    assert key == Key(ACCOUNT, frozenset({"Get Sites List"}), frozenset({SITE}))
    assert simulator.keys[simulator.api_key_of(SITE)].scopes == {"Wix Stores"}


def test_an_order_has_the_currency_of_its_store_by_default() -> None:
    """The default amount has the decimals of that currency."""
    simulator = Simulator()
    order = {"created_date": AFTER}
    set_up(
        simulator,
        {
            "stores": [
                {"currency": "EUR", "orders": [order, order | {"currency": "USD"}]},
                {"currency": "JPY", "orders": [order]},
            ]
        },
    )
    orders = list(simulator.orders.values())
    assert [each.currency for each in orders] == ["EUR", "USD", "JPY"]
    assert [str(each.total) for each in orders] == ["101.40", "101.40", "101"]


def test_the_default_key_has_the_format_of_wixs_keys() -> None:
    """`refunds stores connect` accepts it without a warning."""
    simulator = Simulator()
    set_up(simulator, {"stores": [{"site_id": SITE.upper(), "account_id": ACCOUNT}]})
    key = simulator.api_key_of(SITE)
    assert clean(site_id=SITE, account_id=ACCOUNT, api_key=key).warnings == ()


def test_the_scenario_in_the_readme_does_what_it_says(tmp_path: Path) -> None:
    """People copy it."""
    page = ROOT / "worker" / "simulator" / "README.md"
    text = re.search(r"```toml\n(.*?)```", page.read_text(), re.DOTALL)
    assert text
    path = tmp_path / "scenario.toml"
    path.write_text(text[1])
    simulator = Simulator()
    load_scenario(path, simulator)
    shipped, mixed = simulator.orders.values()
    assert (shipped.fulfillment_status, shipped.created_date) == (
        "FULFILLED",
        "2024-03-31T13:42:13Z",
    )
    assert mixed.total == mixed.paid
    assert [payment.kind for payment in mixed.payments] == ["card", "gift_card"]
    assert [(fault.kind, fault.order_id) for fault in simulator.faults] == [
        ("lost_reply", mixed.id)
    ]
    assert simulator.flags.cancel_twice == "428"
    assert simulator.stores[mixed.site_id].currency == "EUR"


def test_stores_of_different_accounts_do_not_share_a_key() -> None:
    """Wix makes a key for one account; the first store would be closed to it."""
    other = "0f5b7a1e-0000-4000-8000-000000000009"
    stores = [{"site_id": SITE, "account_id": ACCOUNT}, {"account_id": other}]
    simulator = Simulator()
    with pytest.raises(InvalidInput, match=r"stores\[1\]\.account_id: .*need different keys"):
        set_up(simulator, {"stores": stores})
    assert set(simulator.stores) == {SITE}
    stores[1]["api_key"] = "IST.another.key"
    set_up(Simulator(), {"stores": stores})
    # The same account, none at all, and a store that changes its account, are fine.
    set_up(Simulator(), {"stores": [stores[0], {"account_id": ACCOUNT}, {}]})
    simulator.add_store(SITE, simulator.api_key_of(SITE), account_id=other)
