"""Long queues: does what waits delay what is due, or one store another? `make scale`.

100,000 refunds wait for an hour while one is due now; 10,000 refunds of one store are ahead of one
of another store, in the lane and in the queue of new jobs. The last line of the output is JSON with
the times. The rules are tested without a clock in tests/acceptance/queue/test_due_times.py.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from config.loading import load_settings
from statemachine.flows import State
from tests.chaos import child, figures
from tests.chaos.server import Server
from tests.support.rig import AFTER, KEY, STORE_ID
from worker.app import ledger_from
from worker.client import enqueue
from worker.ledger.refunds import Ledger
from worker.queue.broker import Broker
from worker.queue.delivery import Delivery
from worker.refund.request import parse_request
from worker.simulator import Simulator, serve

OTHER_STORE = "4b296c48-0000-4000-8000-000000000002"
HOUR_MS = 3_600_000
WAITING, JOBS = 100_000, 10_000
#: The number of ticks to measure.
TICKS = 50
PATIENCE_S = 300


def fill_due(client: Any, ns: str, count: int, *, in_ms: int = HOUR_MS) -> None:
    """Let *count* refunds wait, each with a record, as they wait for a payment provider."""
    now_ms = client.time()[0] * 1000
    pipe = client.pipeline(transaction=False)
    for n in range(count):
        refund_id, due_ms = f"w-{n}", now_ms + in_ms + n
        order_id = str(uuid.UUID(int=n))
        job = {"refund_id": refund_id, "store_id": STORE_ID, "order_id": order_id}
        record = {
            "request": json.dumps(job),
            "state": State.REFUND_SUBMITTED.value,
            "store_id": STORE_ID,
            "order_id": order_id,
            "accepted_at_ms": now_ms,
            "due_at_ms": due_ms,
            "arrival": n,
            "version": 1,
        }
        pipe.hset(f"{ns}:refund:{refund_id}", mapping=record)
        pipe.zadd(f"{ns}:due", {refund_id: due_ms})
        if n % 1_000 == 999:
            pipe.execute()
    pipe.execute()


def fill_lane(ledger: Ledger, store_id: str, count: int, *, order_id: str = "") -> None:
    """Accept *count* refunds of one store, of orders that Wix need not know."""
    for n in range(count):
        job = {
            "refund_id": f"{store_id}-{n}",
            "store_id": store_id,
            "order_id": order_id or str(uuid.UUID(int=n)),
        }
        ledger.accept(parse_request(job), Delivery("filler"))


def tick_ms(waiting: int) -> float:
    """Return the duration of a tick that wakes one due refund, while *waiting* others wait."""
    with _world(threads=1) as (environ, broker, ledger, _):
        fill_due(broker.client, ledger.ns, waiting)
        fill_lane(ledger, OTHER_STORE, 1)
        spent = []
        for _ in range(TICKS):
            broker.client.zadd(f"{ledger.ns}:due", {f"{OTHER_STORE}-0": 1})
            started = time.perf_counter()
            _, woken, _ = ledger.wake_due("scale", lead_ms=60_000)
            spent.append((time.perf_counter() - started) * 1000)
            if woken != 1:
                raise RuntimeError(f"{woken} were woken of {environ['REFUNDS_NAMESPACE']}")
        return median(spent)


def ends_after_s(prepare: Callable[[Broker, Ledger, Simulator], None]) -> float:
    """Return the seconds until a refund of the other store has ended, after *prepare*."""
    with _world(threads=8) as (environ, broker, ledger, simulator):
        prepare(broker, ledger, simulator)
        order = simulator.add_order(OTHER_STORE, created_date=AFTER)
        job = {"refund_id": "behind", "store_id": OTHER_STORE, "order_id": order.id}
        enqueue(broker, parse_request(job))
        worker = child.start(environ)
        try:
            # The start of the worker is not measured.
            while not broker.client.zcard(f"{ledger.ns}:workers"):
                threading.Event().wait(0.005)
            started = time.monotonic()
            while time.monotonic() - started < PATIENCE_S:
                refund = ledger.load("behind")
                if refund and refund.state is State.REFUNDED:
                    return time.monotonic() - started
                threading.Event().wait(0.01)
        finally:
            child.end(worker)
    raise RuntimeError("it did not end")


def _orders_of_one_store(simulator: Simulator, count: int) -> Iterator[dict[str, str]]:
    for n in range(count):
        order = simulator.add_order(STORE_ID, created_date=AFTER)
        yield {"refund_id": f"first-{n}", "store_id": STORE_ID, "order_id": order.id}


def _in_its_lane(_: Broker, ledger: Ledger, simulator: Simulator) -> None:
    for job in _orders_of_one_store(simulator, JOBS):
        ledger.accept(parse_request(job), Delivery("filler"))


def _in_the_queue_of_jobs(broker: Broker, _: Ledger, simulator: Simulator) -> None:
    for job in _orders_of_one_store(simulator, JOBS):
        enqueue(broker, parse_request(job))


@contextmanager
def _world(*, threads: int) -> Iterator[tuple[dict[str, str], Broker, Ledger, Simulator]]:
    simulator = Simulator()
    for store in (STORE_ID, OTHER_STORE):
        simulator.add_store(store, KEY)
    stores = {store: {"account_id": "a", "api_key": KEY} for store in (STORE_ID, OTHER_STORE)}
    with tempfile.TemporaryDirectory(prefix="refunds-scale-") as place, serve(simulator) as wix:
        server = Server(Path(place), fsync="everysec")
        server.start()
        environ = {
            "REFUNDS_REDIS_URL": server.url,
            "REFUNDS_NAMESPACE": "scale",
            "REFUNDS_STORE_CALLS_PER_MIN": "0",
            "REFUNDS_WIX_BASE_URL": wix,
            "REFUNDS_STORES": json.dumps(stores),
            "REFUNDS_THREADS": str(threads),
            # Measure the queues, not the polling of the payment provider.
            "REFUNDS_CONFIRM_FIRST_MS": "50",
        }
        broker, ledger = ledger_from(load_settings(environ))
        try:
            yield environ, broker, ledger, simulator
        finally:
            broker.client.close()
            server.end()


def main() -> int:
    """Run the benchmark; returns the exit code."""
    parser = argparse.ArgumentParser(prog="make scale", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--write", action="store_true", help="write the figures into the README")
    options = parser.parse_args()
    runs = {
        "tick_ms_with_1": round(tick_ms(0), 2),
        "tick_ms_with_100000": round(tick_ms(WAITING), 2),
        "alone_s": round(ends_after_s(lambda *_: None), 2),
        "behind_lane_s": round(ends_after_s(_in_its_lane), 2),
        "behind_jobs_s": round(ends_after_s(_in_the_queue_of_jobs), 2),
    }
    sys.stdout.write(json.dumps(runs) + "\n")
    if options.write:
        figures.write(
            "scale",
            f"one due refund is woken in {runs['tick_ms_with_100000']} ms beside 100,000 that wait"
            f" an hour ({runs['tick_ms_with_1']} ms alone); one store's refund takes"
            f" {runs['behind_lane_s']} s behind 10,000 accepted ones of another store,"
            f" {runs['behind_jobs_s']} s behind 10,000 jobs not yet accepted"
            f" ({runs['alone_s']} s alone)",
        )
    return int(runs["tick_ms_with_100000"] >= 1_000)


if __name__ == "__main__":
    sys.exit(main())
