"""`refunds simulator`: its flags, its scenario file, and the words for what is wrong in them."""

from __future__ import annotations

import re
from dataclasses import asdict, fields
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.house.documents import ROOT
from worker.simulator import Flags, Simulator
from worker.simulator.scenario import fill, load_scenario
from worker.simulator.script.flag_table import flag_rows, flags_from_text
from worker.simulator.script.reading import Wrong
from worker.simulator.world.stores import Key
from worker.stores.pasted import clean

AFTER = "2025-01-02T03:04:05Z"
LINE = {"price": "1.00"}
MOMENT = "must be a date and time with a zone, like 2025-01-02T03:04:05Z"
SITE, ACCOUNT = "4b296c48-0000-4000-8000-000000000001", "0f5b7a1e-0000-4000-8000-000000000002"


def test_every_flag_has_its_row_and_its_sentence() -> None:
    """What `--flags` lists is what there is."""
    rows = flag_rows()
    assert [row.name for row in rows] == [field.name for field in fields(Flags)]
    assert {row.name: row.default for row in rows} == asdict(Flags())
    assert all(row.meaning.endswith(".") and row.values for row in rows)


def test_flags_are_read_from_text() -> None:
    """Words, numbers, truth and none."""
    pairs = ["cancel_twice=428", "provider_ms=5", "fingerprint_kept=false", "throttled_s=none"]
    assert flags_from_text(pairs) == {
        "cancel_twice": "428",
        "provider_ms": 5,
        "fingerprint_kept": False,
        "throttled_s": None,
    }
    assert flags_from_text(["throttled_s=7"]) == {"throttled_s": 7}


@pytest.mark.parametrize(
    ("pair", "said"),
    [
        ("cancel_twice", "--flag cancel_twice: write it as name=value"),
        ("cancel_twice=5", '--flag cancel_twice: must be one of ok, 428, not "5"'),
        ("cancel_once=5", "--flag cancel_once: there is no such flag; there are cancel_twice, "),
        ("provider_ms=x", '--flag provider_ms: must be a whole number, not "x"'),
        ("fingerprint_kept=no", '--flag fingerprint_kept: must be true or false, not "no"'),
    ],
)
def test_wrong_flags_are_refused_with_the_right_ones(pair: str, said: str) -> None:
    """Name and values."""
    with pytest.raises(Wrong, match=re.escape(said)):
        flags_from_text([pair])


def test_flags_are_checked_wherever_they_are_set() -> None:
    """A test that sets a flag that does not exist proves nothing."""
    with pytest.raises(ValueError, match="there is no such flag"):
        Simulator().set_flags(cancel_trice="ok")
    with pytest.raises(ValueError, match="must be one of ok, 428"):
        Simulator().set_flags(cancel_twice="OK")


def _with_order(**order: Any) -> dict[str, Any]:
    return {"stores": [{"orders": [{"created_date": AFTER} | order]}]}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"shops": []}, "shops: there are only flags, stores, keys and faults"),
        ({"flags": {"cancel": "ok"}}, "flags.cancel: there is no such flag; there are "),
        ({"stores": {}}, "stores: must be a list of tables: [[stores]]"),
        ({"stores": [1]}, "stores[0]: this must be a table of fields"),
        ({"stores": [{"nam": "x"}]}, "stores[0].nam: there is no such field; there are site_id, "),
        ({"stores": [{"name": 5}]}, "stores[0].name: must be text, not 5"),
        ({"stores": [{"scopes": ["All"]}]}, "stores[0].scopes: no All; there are Business Info, "),
        ({"stores": [{"scopes": "All"}]}, 'stores[0].scopes: must be a list, not "All"'),
        ({"stores": [{"premium": 1}]}, "stores[0].premium: must be true or false, not 1"),
        ({"stores": [{"orders": [{}]}]}, "stores[0].orders[0].created_date: this is required"),
        (_with_order(refunds=[]), "stores[0].orders[0].refunds: there is no such field"),
        (_with_order(shipping=1.5), 'shipping: must be an amount in quotes, like "12.50", not 1.5'),
        (_with_order(shipping="1,5"), "stores[0].orders[0].shipping: must be an amount in quotes"),
        (_with_order(shipping="NaN"), "stores[0].orders[0].shipping: must be an amount in quotes"),
        (_with_order(cancellations=1), "stores[0].orders[0].cancellations: there is no such field"),
        (_with_order(lines=[{}]), "stores[0].orders[0].lines[0].price: this is required"),
        (
            _with_order(lines=[LINE | {"quantity": True}]),
            "stores[0].orders[0].lines[0].quantity: must be a whole number, not true",
        ),
        (
            _with_order(payments=[{"amount": "1", "kind": "cash"}]),
            "stores[0].orders[0].payments[0].kind: must be one of card, gift_card, membership",
        ),
        (
            _with_order(lines=[LINE], fulfillments=2),
            "stores[0].orders[0]: an order has no more fulfillments than lines",
        ),
        (
            _with_order(faults=[{"kind": "drop", "endpoint": "cancel"}]),
            "stores[0].orders[0].faults[0].endpoint: must be one of *, add_activities, ",
        ),
        (_with_order(lines=[LINE | {"quantity": False}]), "must be a whole number, not false"),
        (_with_order(lines=[LINE | {"quantity": -1}]), "quantity: must not be negative, as -1 is"),
        (_with_order(fulfillments=-1), "fulfillments: must not be negative, as -1 is"),
        (_with_order(fulfillments=True), "fulfillments: must be a whole number, not true"),
        (_with_order(fulfillments=[{}]), "fulfillments: must be how many there are, or a list of"),
        (_with_order(fulfillments=[{"lineItems": [{"index": 7}]}]), "fulfillments: must be how "),
        (_with_order(shipping="-1"), "orders[0].shipping: must not be negative, as -1 is"),
        (_with_order(amounts=["x"]), 'amounts: must be an amount in quotes, like "12.50", not "x"'),
        (_with_order(created_date=date(2025, 1, 2)), f"created_date: {MOMENT}, not 2025-01-02"),
        (_with_order(created_date=datetime(2025, 1, 2, 3)), f"created_date: {MOMENT}, not 2025"),  # noqa: DTZ001 - a TOML time without a zone
        (_with_order(created_date="yesterday"), f'created_date: {MOMENT}, not "yesterday"'),
        (_with_order(order_id="o-1"), "orders[0].order_id: must be a UUID, like 4b296c48-"),
        (_with_order(currency="euro"), 'currency: must be three capital letters, like EUR, not "e'),
        ({"stores": [{"currency": "eur"}]}, "stores[0].currency: must be three capital letters"),
        ({"stores": [{"site_id": "shop"}]}, "stores[0].site_id: must be a UUID, like 4b296c48-"),
        ({"stores": [{"published": "y"}]}, 'stores[0].published: must be true or false, not "y"'),
        ({"flags": {"provider_ms": -5}}, "flags.provider_ms: must not be negative, as -5 is"),
        ({"faults": [{}]}, "faults[0].kind: this is required"),
        ({"faults": [{"kind": "burn"}]}, "faults[0].kind: must be one of status, lost_reply, "),
        ({"keys": [{"api_key": "k"}]}, "keys[0].account_id: this is required"),
    ],
)
def test_a_wrong_scenario_is_refused_with_place_and_field(given: dict[str, Any], said: str) -> None:
    """What may stand there is said too."""
    with pytest.raises(Wrong, match=re.escape(said)):
        fill(Simulator(), given)


def test_a_file_that_is_no_scenario_is_refused_with_its_name(tmp_path: Path) -> None:
    """Missing, or not TOML."""
    path = tmp_path / "odd.toml"
    with pytest.raises(Wrong, match=re.escape(f"{path}: No such file")):
        load_scenario(path, Simulator())
    path.write_text("[stores\n")
    with pytest.raises(Wrong, match=re.escape(f"{path}: this is not TOML: Expected ']'")):
        load_scenario(path, Simulator())
    path.write_text("[[stores]]\nnam = 1\n")
    with pytest.raises(Wrong, match=re.escape(f"{path}: stores[0].nam: ")):
        load_scenario(path, Simulator())


def test_keys_of_a_scenario_are_made(tmp_path: Path) -> None:
    """With their boxes and sites."""
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


def test_orders_are_in_the_stores_currency_unless_they_say_another() -> None:
    """Nobody writes it twice; and what is made up can be paid in it."""
    simulator = Simulator()
    order = {"created_date": AFTER}
    fill(
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


def test_a_store_without_a_key_gets_one_that_looks_like_wixs() -> None:
    """`refunds stores connect` takes it without a warning."""
    simulator = Simulator()
    fill(simulator, {"stores": [{"site_id": SITE.upper(), "account_id": ACCOUNT}]})
    key = simulator.api_key_of(SITE)
    assert clean(site_id=SITE, account_id=ACCOUNT, api_key=key).warnings == ()


def test_the_readmes_scenario_does_what_it_says(tmp_path: Path) -> None:
    """The very text that people copy."""
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
