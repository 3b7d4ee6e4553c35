"""Scenarios: stores with their orders, keys, flags and faults, read from a TOML file."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import TypeAdapter, WrapValidator, create_model

from worker.simulator.contract.routes import ALL_SCOPES, ROUTES
from worker.simulator.script.faults import Fault
from worker.simulator.script.flag_table import FLAGS
from worker.simulator.script.reading import (
    Amount,
    Count,
    Currency,
    Guid,
    InvalidInput,
    Moment,
    Table,
    among,
    list_of,
    read,
    table_of,
)
from worker.simulator.simulator import Simulator
from worker.simulator.world.lines import Fee, Line
from worker.simulator.world.orders import Order
from worker.simulator.world.payments import Payment
from worker.simulator.world.placing import INTERNAL
from worker.simulator.world.stores import Key, Store

#: Has the format of Wix's keys, so that `refunds stores connect` accepts it without a warning.
KEY = "IST.this-is.the-simulators.key"


class _Item(Table):
    """Units of one line in a parcel; all of them if no quantity is given."""

    index: Count | None = None
    """Position of the line in the order, from 0; *id* can be given instead."""
    id: str | None = None
    quantity: Count | None = None


class _Parcel(Table):
    """A fulfillment, with Wix's field names."""

    lineItems: list[_Item]  # noqa: N815 - Wix's spelling
    trackingInfo: dict[str, Any] | None = None  # noqa: N815 - Wix's spelling


_COUNT: TypeAdapter[int] = TypeAdapter(Count)


def _parcels(given: Any, read_list: Callable[[Any], list[_Parcel]]) -> list[_Parcel] | int:
    """Accept the number of parcels instead of a list of them."""
    return read_list(given) if isinstance(given, list) else _COUNT.validate_python(given)


_Parcels = Annotated[list[_Parcel], WrapValidator(_parcels)]
_Scope = Annotated[str, among(ALL_SCOPES)]
_Endpoint = Annotated[str, among({"*", *(route.endpoint for route in ROUTES)})]
_FAULT = table_of(Fault, required={"kind"}, endpoint=_Endpoint)
_LINE = table_of(Line, required={"price"})
_PAYMENT = table_of(Payment, required={"amount"}, created_date=Moment)
_FEE = table_of(Fee, required={"amount"})
_ORDER = table_of(
    Order,
    required={"created_date"},
    hidden=INTERNAL,
    created_date=Moment,
    purchased_date=Moment,
    currency=Currency,
    lines=list_of(_LINE),
    payments=list_of(_PAYMENT),
    fees=list_of(_FEE),
    fulfillments=_Parcels,
    order_id=Guid,
    amounts=list[Amount],
    faults=list_of(_FAULT),
)
_STORE = table_of(
    Store,
    site_id=Guid,
    account_id=Guid,
    currency=Currency,
    currencies=tuple[Currency, ...],
    created_date=Moment,
    trashed_date=Moment,
    api_key=str,
    scopes=frozenset[_Scope],
    orders=list_of(_ORDER),
)
_KEY = table_of(
    Key,
    required={"api_key", "account_id"},
    hidden={"revoked"},
    account_id=Guid,
    scopes=frozenset[_Scope],
    api_key=str,
)
_FAULTS = create_model("Faults", __base__=Table, faults=(list_of(_FAULT), ...))
_SCENARIO = create_model(
    "Scenario",
    __base__=Table,
    flags=(FLAGS, None),
    stores=(list_of(_STORE), None),
    keys=(list_of(_KEY), None),
    faults=(list_of(_FAULT), None),
)


def faults_from(given: Any) -> list[Fault]:
    """Return faults from their tables.

    Raises:
        InvalidInput: with the place of each error and what is allowed there.
    """
    return [Fault(**fault) for fault in read(_FAULTS, {"faults": given})["faults"]]


def load_scenario(path: Path, simulator: Simulator) -> None:
    """Set up *simulator* as the file says.

    Raises:
        InvalidInput: the file cannot be read, or is not a valid scenario.
    """
    try:
        with path.open("rb") as file:
            given = tomllib.load(file)
    except OSError as error:
        raise InvalidInput(f"{path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{path}: this is not TOML: {error}") from None
    try:
        set_up(simulator, given)
    except InvalidInput as error:
        lines = str(error).splitlines()
        raise InvalidInput("\n".join(f"{path}: {line}" for line in lines)) from None


def set_up(simulator: Simulator, given: Mapping[str, Any]) -> None:
    """Set up *simulator* as the scenario says.

    Raises:
        InvalidInput: with the place of each error and what is allowed there.
    """
    scenario = read(_SCENARIO, given)
    simulator.set_flags(**scenario.get("flags", {}))
    for number, store in enumerate(scenario.get("stores", [])):
        _add_store(simulator, store, f"stores[{number}]")
    for key in scenario.get("keys", []):
        simulator.add_key(**key)
    simulator.script(*(Fault(**fault) for fault in scenario.get("faults", [])))


def _add_store(simulator: Simulator, store: dict[str, Any], place: str) -> None:
    orders = store.pop("orders", [])
    try:
        site_id = simulator.add_store(**{"api_key": KEY} | store)
    except InvalidInput as error:
        raise InvalidInput(f"{place}.{error}") from None
    for number, order in enumerate(orders):
        faults = order.pop("faults", [])
        try:
            placed = simulator.add_order(site_id, **order)
        except (ValueError, ArithmeticError) as error:
            raise InvalidInput(f"{place}.orders[{number}]: {error}") from None
        simulator.script(*(Fault(**fault | {"order_id": placed.id}) for fault in faults))


_TABLES: Mapping[str, tuple[str, type[Table]]] = {
    "[[stores]]": ("a site, its account and its API key", _STORE),
    "[[stores.orders]]": ("an order of that site", _ORDER),
    "lines": ("in an order: the items sold", _LINE),
    "payments": ("in an order: its payments", _PAYMENT),
    "fees": ("in an order: additional fees", _FEE),
    "[[keys]]": ("more API keys of an account", _KEY),
    "[[faults]]": ("what fails; also as `faults` in an order", _FAULT),
}


def scenario_table() -> str:
    """Return the tables of a scenario and their fields, for worker/simulator/README.md."""
    rows = [
        "| table | what | fields |",
        "|---|---|---|",
        "| `[flags]` | what is unknown about Wix | as `refunds simulator --flags` lists them |",
    ]
    rows += [
        f"| `{name}` | {what} | {', '.join(f'`{field}`' for field in table.model_fields)} |"
        for name, (what, table) in _TABLES.items()
    ]
    return "\n".join(rows) + "\n"
