"""`refunds simulator`: a simulated Wix on loopback, until Ctrl-C."""

from __future__ import annotations

import json
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from worker.simulator.http.server import serve
from worker.simulator.scenario import KEY, load_scenario
from worker.simulator.script.flag_table import flag_rows, flags_from_text
from worker.simulator.script.flags import Flags
from worker.simulator.script.reading import InvalidInput
from worker.simulator.simulator import Simulator

ORDERS = 4
#: The kinds of sample orders, in turn: date, number of fulfillments, description.
_SAMPLES = (
    ("2024-03-31T13:42:13.136Z", 0, "before the cutoff, unfulfilled"),
    ("2024-03-31T13:42:13.136Z", 2, "before the cutoff, two fulfillments"),
    ("2025-01-02T03:04:05.000Z", 0, "after the cutoff"),
)


def run_simulator(
    *, port: int, orders: int | None, scenario: Path | None, flags: list[str], as_json: bool
) -> None:
    """Serve until SIGINT or SIGTERM; first print how to connect a worker to it.

    Raises:
        InvalidInput: a flag or the scenario is invalid, or the port cannot be used.
    """
    if scenario and orders is not None:
        raise InvalidInput(
            "--orders cannot be combined with --scenario: the scenario has its own orders"
        )
    simulator = Simulator(Flags(provider_ms=1_500))
    what: dict[str, str] = {}
    if scenario:
        load_scenario(scenario, simulator)
    else:
        store_id = simulator.add_store(api_key=KEY)
        for number in range(ORDERS if orders is None else orders):
            created, fulfillments, text = _SAMPLES[number % len(_SAMPLES)]
            order = simulator.add_order(store_id, created_date=created, fulfillments=fulfillments)
            what[order.id] = text
    simulator.set_flags(**flags_from_text(flags))
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    # It may have waited while the program was loaded.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    with _served(simulator, port) as url:
        start = _start(simulator, url, what)
        sys.stdout.write(json.dumps(start) + "\n" if as_json else _text(start))
        sys.stdout.flush()
        stop.wait()


@contextmanager
def _served(simulator: Simulator, port: int) -> Iterator[str]:
    with ExitStack() as serving:
        try:
            url = serving.enter_context(serve(simulator, port=port))
        except OSError as error:
            raise InvalidInput(
                f"--port {port}: {error.strerror}; --port 0 picks a free one"
            ) from None
        yield url


def _start(simulator: Simulator, url: str, what: Mapping[str, str]) -> dict[str, Any]:
    """Return what a person or a script needs to begin."""
    stores = {
        site_id: {"account_id": store.account_id, "api_key": simulator.api_key_of(site_id)}
        for site_id, store in simulator.stores.items()
    }
    orders = [
        {
            "order_id": order.id,
            "store_id": order.site_id,
            "what": what.get(order.id) or f"{order.status}, placed {order.created_date}",
        }
        for order in simulator.orders.values()
    ]
    first = next(iter(stores), None)
    return {"url": url, "store_id": first, "stores": stores, "orders": orders}


def print_flags(*, as_json: bool) -> None:
    """Print the flags: how Wix behaves where that is unknown."""
    rows = [row._asdict() for row in flag_rows()]
    if as_json:
        sys.stdout.write(json.dumps({"flags": rows}) + "\n")
        return
    for row in rows:
        sys.stdout.write(
            f"{row['name']}={row['default']}\n    {row['meaning']}  ({row['values']})\n"
        )


def _text(start: dict[str, Any]) -> str:
    stores = json.dumps(start["stores"])
    lines = [
        f"export REFUNDS_WIX_BASE_URL={start['url']}",
        f"export REFUNDS_STORES='{stores}'",
        f"# books: curl {start['url']}/_simulator/books",
        *(
            f"# store {store_id}  account {store['account_id']}  key {store['api_key']}"
            for store_id, store in start["stores"].items()
        ),
        *(f"# order {order['order_id']}  {order['what']}" for order in start["orders"]),
    ]
    return "\n".join(lines) + "\n"
