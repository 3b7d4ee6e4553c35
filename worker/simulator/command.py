"""`refunds simulator`: Wix on loopback until Ctrl-C."""

from __future__ import annotations

import json
import signal
import sys
import threading
import uuid

from worker.simulator.flags import Flags
from worker.simulator.server import serve
from worker.simulator.simulator import Simulator

KEY = "IST.simulator-key"
#: Sample orders take turns: before the cutoff, before it and fulfilled, after it.
_SAMPLES = (
    ("2024-03-31T13:42:13.136Z", 0, "before the cutoff, unfulfilled"),
    ("2024-03-31T13:42:13.136Z", 2, "before the cutoff, two fulfillments"),
    ("2025-01-02T03:04:05.000Z", 0, "after the cutoff"),
)


def run_simulator(*, port: int, orders: int, as_json: bool) -> None:
    """Serve until a signal; say first how to point a worker at it."""
    simulator = Simulator(Flags(provider_ms=1_500))
    store_id = simulator.add_store(api_key=KEY)
    samples = []
    for number in range(orders):
        created, fulfillments, what = _SAMPLES[number % len(_SAMPLES)]
        order = simulator.add_order(store_id, created_date=created, fulfillments=fulfillments)
        samples.append({"order_id": order.id, "what": what})
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with serve(simulator, port=port) as url:
        stores = {store_id: {"account_id": str(uuid.uuid4()), "api_key": KEY}}
        told: dict[str, object] = {
            "url": url,
            "store_id": store_id,
            "stores": stores,
            "orders": samples,
        }
        sys.stdout.write(json.dumps(told) + "\n" if as_json else _text(told))
        sys.stdout.flush()
        stop.wait()


def _text(told: dict[str, object]) -> str:
    stores = json.dumps(told["stores"])
    lines = [
        f"export REFUNDS_WIX_BASE_URL={told['url']}",
        f"export REFUNDS_STORES='{stores}'",
        f"# books: curl {told['url']}/_simulator/books",
        f"# store {told['store_id']}",
    ]
    samples = told["orders"] if isinstance(told["orders"], list) else []
    lines += [f"# order {sample['order_id']}  {sample['what']}" for sample in samples]
    return "\n".join(lines) + "\n"
