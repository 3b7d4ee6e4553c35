"""A world from one readable TOML file: flags, stores with their orders, keys, faults."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any

from worker.simulator.contract.routes import ALL_SCOPES, ROUTES
from worker.simulator.script.faults import Fault
from worker.simulator.script.flag_table import checked_flags
from worker.simulator.script.reading import Currency, Guid, Moment, Wrong, fields_of, table, value
from worker.simulator.simulator import Simulator
from worker.simulator.world.lines import Fee, Line
from worker.simulator.world.orders import Order
from worker.simulator.world.payments import Payment
from worker.simulator.world.placing import INTERNAL
from worker.simulator.world.stores import Key, Store

_ENDPOINTS = frozenset({"*", *(route.endpoint for route in ROUTES)})
#: The parts of an order, and the one field that each needs.
_PARTS: tuple[tuple[str, type, str], ...] = (
    ("lines", Line, "price"),
    ("payments", Payment, "amount"),
    ("fees", Fee, "amount"),
)

#: Fields whose text has a shape, and those that only a scenario has.
_STORE_SHAPES: dict[str, Any] = {
    "site_id": Guid, "account_id": Guid, "currency": Currency, "currencies": tuple[Currency, ...],
    "api_key": str, "scopes": frozenset[str],
}  # fmt: skip
_ORDER_ALSO: dict[str, Any] = {
    "order_id": Guid, "created_date": Moment, "purchased_date": Moment, "currency": Currency,
    "amounts": list[Decimal], "fulfillments": Any, "faults": list[Any],
    "lines": Any, "payments": Any, "fees": Any,
}  # fmt: skip
_KEY_SHAPES: dict[str, Any] = {"api_key": str, "account_id": Guid}
_KEY_HIDDEN = ("revoked",)
_SHIPMENT = (
    "must be how many there are, or a list of"
    " { lineItems = [{ index = 0, quantity = 1 }] }, where index is the number of a line"
)
#: In the shape of Wix's keys, so that `refunds stores connect` takes it without a warning.
KEY = "IST.this-is.the-simulators.key"


def load_scenario(path: Path, simulator: Simulator) -> None:
    """Put what the file says into *simulator*.

    Raises:
        Wrong: with the file, the place in it and what may stand there.
    """
    try:
        with path.open("rb") as file:
            given = tomllib.load(file)
    except OSError as error:
        raise Wrong(f"{path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Wrong(f"{path}: this is not TOML: {error}") from None
    try:
        fill(simulator, given)
    except Wrong as error:
        raise Wrong(f"{path}: {error}") from None


def fill(simulator: Simulator, given: dict[str, Any]) -> None:
    """Put a scenario into *simulator*.

    Raises:
        Wrong: with the place and what may stand there.
    """
    if odd := given.keys() - {"flags", "stores", "keys", "faults"}:
        raise Wrong(f"{min(odd)}: there are only flags, stores, keys and faults")
    simulator.set_flags(**checked_flags(given.get("flags", {})))
    for place, store in _each(given, "stores"):
        _add_store(simulator, dict(store), place)
    for place, key in _each(given, "keys"):
        made = table(Key, key, place, leave_out=_KEY_HIDDEN, **_KEY_SHAPES)
        _need(made, place, "api_key", "account_id")
        _scopes(made, place)
        simulator.add_key(made.pop("api_key"), made.pop("account_id"), **made)
    for place, fault in _each(given, "faults"):
        _add_fault(simulator, fault, place)


def _each(given: dict[str, Any], name: str, at: str = "") -> list[tuple[str, dict[str, Any]]]:
    found = given.get(name, [])
    if not isinstance(found, list):
        raise Wrong(f"{at}{name}: must be a list of tables: [[{name}]]")
    for number, item in enumerate(found):
        if not isinstance(item, dict):
            raise Wrong(f"{at}{name}[{number}]: this must be a table of fields")
    return [(f"{at}{name}[{number}]", item) for number, item in enumerate(found)]


def _need(given: dict[str, Any], place: str, *names: str) -> None:
    for name in names:
        if name not in given:
            raise Wrong(f"{place}.{name}: this is required")


def _scopes(given: dict[str, Any], place: str) -> None:
    if odd := set(given.get("scopes", ())) - ALL_SCOPES:
        raise Wrong(f"{place}.scopes: no {min(odd)}; there are {', '.join(sorted(ALL_SCOPES))}")


def _add_store(simulator: Simulator, given: dict[str, Any], place: str) -> None:
    orders = _each(given, "orders", f"{place}.")
    given.pop("orders", None)
    store = table(Store, given, place, **_STORE_SHAPES)
    _scopes(store, place)
    site_id = simulator.add_store(**{"api_key": KEY} | store)
    for at, order in orders:
        _add_order(simulator, site_id, order, at)


def _add_order(simulator: Simulator, site_id: str, given: Any, place: str) -> None:
    order = table(Order, given, place, leave_out=INTERNAL, **_ORDER_ALSO)
    _need(order, place, "created_date")
    if "amounts" in order:
        order["amounts"] = [str(amount) for amount in order["amounts"]]
    if not isinstance(order.get("fulfillments", []), list):
        order["fulfillments"] = value(int, order["fulfillments"], f"{place}.fulfillments")
    faults = _each(order, "faults", f"{place}.")
    order.pop("faults", None)
    for name, kind, needed in _PARTS:
        if name in order:
            parts = [(at, table(kind, part, at)) for at, part in _each(order, name, f"{place}.")]
            for at, part in parts:
                _need(part, at, needed)
            order[name] = [part for _, part in parts]
    try:
        made = simulator.add_order(site_id, **order)
    except (KeyError, IndexError, AttributeError, TypeError):
        raise Wrong(f"{place}.fulfillments: {_SHIPMENT}") from None
    except (ValueError, ArithmeticError) as error:
        raise Wrong(f"{place}: {error}") from None
    for at, fault in faults:
        _add_fault(simulator, fault, at, order_id=made.id)


def _add_fault(simulator: Simulator, given: Any, place: str, **more: str) -> None:
    fault = table(Fault, given, place) | more
    _need(fault, place, "kind")
    if fault.get("endpoint", "*") not in _ENDPOINTS:
        raise Wrong(f"{place}.endpoint: must be one of {', '.join(sorted(_ENDPOINTS))}")
    simulator.script(Fault(**fault))


def scenario_table() -> str:
    """The tables of a scenario and their fields, for the README."""
    orders = [*fields_of(Order, leave_out=INTERNAL, **_ORDER_ALSO)]
    tables: dict[str, tuple[str, Iterable[str]]] = {
        "[flags]": ("what nobody knows of Wix", ["as `refunds simulator --flags` lists them"]),
        "[[stores]]": ("a site, its account and its key", fields_of(Store, **_STORE_SHAPES)),
        "[[stores.orders]]": ("an order of that site", orders),
        "lines": ("in an order: what was sold", fields_of(Line)),
        "payments": ("in an order: how it was paid", fields_of(Payment)),
        "fees": ("in an order: additional fees", fields_of(Fee)),
        "[[keys]]": (
            "further keys of an account",
            fields_of(Key, leave_out=_KEY_HIDDEN, **_KEY_SHAPES),
        ),
        "[[faults]]": ("what goes wrong; also `faults` in an order", fields_of(Fault)),
    }
    rows = ["| table | what | fields |", "|---|---|---|"]
    rows += [
        f"| `{name}` | {what} | {', '.join(_marked(field) for field in names)} |"
        for name, (what, names) in tables.items()
    ]
    return "\n".join(rows) + "\n"


def _marked(field: str) -> str:
    return field if " " in field else f"`{field}`"
