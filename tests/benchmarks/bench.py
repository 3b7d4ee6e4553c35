"""Refunds per second, compared with a plain chain of actors. `make bench`.

Both cancel the same orders with the same calls, and Wix answers at once, so that only the work of
queues and records is measured. The plain chain also has a record, a lock, an intent, a history and
an outcome, but with one command to Redis for each, and it survives few of the faults of
`make faults`. The figures are ratios of two medians of one run, in which the sides take turns.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import threading
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import dramatiq
import httpx
import redis
from dramatiq.brokers.redis import RedisBroker

from config.settings import Settings
from statemachine.flows import State
from tests.chaos import figures
from tests.chaos.server import Server
from tests.support.rig import BEFORE, KEY, STORE_ID, settings_for
from worker.app import Seams, build
from worker.client import enqueue
from worker.observability.logs import configure_logs
from worker.refund.request import parse_request
from worker.wix.client import ClientFactory

#: With one thread every answer is waited for; of four, Python runs one at a time.
THREADS = (1, 4)
PATIENCE_S = 300
LOCK_MS = 60_000


class Side(NamedTuple):
    """One of the two sides: how to request a refund, and how to count those that are done."""

    broker: RedisBroker
    send: Callable[[str], object]
    done: Callable[[], int]


class InstantWix:
    """A Wix without delay, with orders that were placed before the cutoff and can be cancelled."""

    def __init__(self) -> None:
        self.cancelled: list[str] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Answer getOrder and cancelOrder."""
        order_id = request.url.path.split("/")[4]
        if request.method == "POST":
            self.cancelled.append(order_id)
        status = "CANCELED" if request.method == "POST" else "APPROVED"
        order = {"id": order_id, "createdDate": BEFORE, "status": status, "currency": "USD"}
        return httpx.Response(200, json={"order": order | {"fulfillmentStatus": "NOT_FULFILLED"}})

    def clients(self) -> ClientFactory:
        """Return the worker's own client, without a network."""
        return ClientFactory(
            "http://wix.test",
            connect_timeout_ms=1_000,
            read_timeout_ms=1_000,
            total_timeout_ms=1_000,
            transport=lambda: httpx.MockTransport(self),
        )


def ours(settings: Settings, wix: InstantWix) -> Side:
    """Return the worker as it is, except for its Wix."""
    app = build(settings, Seams(transport=lambda: httpx.MockTransport(wix)))
    broker, ledger = app.broker, app.ledger
    broker.beat()

    def send(order_id: str) -> None:
        job = {"refund_id": f"rf-{order_id}", "store_id": STORE_ID, "order_id": order_id}
        enqueue(broker, parse_request(job))

    return Side(broker, send, lambda: ledger.count(State.CANCELLED))


def plain(settings: Settings, wix: InstantWix) -> Side:
    """Return three actors that each start the next, on dramatiq's own broker."""
    url, ns = settings.redis_url.get_secret_value(), f"plain{uuid.uuid4().hex[:8]}"
    broker = RedisBroker(url=url, namespace=ns)  # type: ignore[no-untyped-call]  # dramatiq's
    client: Any = redis.Redis.from_url(url, decode_responses=True)
    clients = wix.clients()

    @contextmanager
    def step(order_id: str, name: str) -> Iterator[Any]:
        """Load, lock and write the intent; afterwards commit and unlock."""
        record, lock = f"{ns}:refund:{order_id}", f"{ns}:lock:{order_id}"
        client.hgetall(record)
        if not client.set(lock, name, nx=True, px=LOCK_MS):
            raise RuntimeError("the order is locked")
        client.hset(record, mapping={"intent": name})
        yield clients.store(STORE_ID, KEY, before_mutation=lambda: None)
        client.hset(record, mapping={"state": name, "intent": ""})
        client.rpush(f"{ns}:history:{order_id}", json.dumps({"to": name, "at": time.time()}))
        client.delete(lock)

    @dramatiq.actor(broker=broker)
    def request(order_id: str) -> None:
        client.hset(f"{ns}:refund:{order_id}", mapping={"state": "accepted", "order": order_id})
        client.xadd(f"{ns}:outcomes", {"accepted": order_id})
        assess.send(order_id)

    @dramatiq.actor(broker=broker)
    def assess(order_id: str) -> None:
        with step(order_id, "assessed") as store:
            store.get_order(order_id)
        cancel.send(order_id)

    @dramatiq.actor(broker=broker)
    def cancel(order_id: str) -> None:
        with step(order_id, "cancelled") as store:
            store.get_order(order_id)
            store.cancel_order(order_id, restock=False, notify_buyer=False)
        client.xadd(f"{ns}:outcomes", {"finished": order_id})
        client.sadd(f"{ns}:cancelled", order_id)

    return Side(broker, request.send, lambda: int(client.scard(f"{ns}:cancelled")))


def per_s(
    make: Callable[[Settings, InstantWix], Side], url: str, count: int, threads: int
) -> float:
    """Return the refunds per second of one round, from the worker's start until all are done."""
    wix = InstantWix()
    side = make(settings_for(url), wix)
    for _ in range(count):
        side.send(str(uuid.uuid4()))
    worker = dramatiq.Worker(side.broker, worker_threads=threads, worker_timeout=100)
    started = time.perf_counter()
    worker.start()
    pause = threading.Event()
    try:
        while side.done() < count:
            if time.perf_counter() - started > PATIENCE_S:
                raise RuntimeError(f"{side.done()} of {count} were done in {PATIENCE_S} s")
            pause.wait(0.01)
        spent_s = time.perf_counter() - started
    finally:
        worker.stop()
        side.broker.client.close()
    if len(set(wix.cancelled)) != count:
        raise RuntimeError(f"Wix cancelled {len(set(wix.cancelled))} of {count}")
    return count / spent_s


def main() -> int:
    """Run the benchmark; returns the exit code."""
    parser = argparse.ArgumentParser(prog="make bench", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each side")
    parser.add_argument("--refunds", type=int, default=400, help="refunds of a round")
    parser.add_argument("--write", action="store_true", help="write the figures into the README")
    options = parser.parse_args()
    configure_logs("json", "error", sys.stderr)
    rates: dict[str, list[float]] = defaultdict(list)
    with tempfile.TemporaryDirectory(prefix="refunds-bench-") as place:
        server = Server(Path(place), fsync="everysec")
        server.start()
        try:
            for number in range(options.rounds):
                for threads, (name, make) in product(THREADS, SIDES.items()):
                    rate = per_s(make, server.url, options.refunds, threads)
                    rates[f"{name}_per_s_{threads}"].append(rate)
                sys.stderr.write(f"round {number + 1} of {options.rounds}\n")
        finally:
            server.end()
    medians = {name: round(median(measured)) for name, measured in rates.items()}
    ratios = {
        threads: round(medians[f"ours_per_s_{threads}"] / medians[f"plain_per_s_{threads}"], 2)
        for threads in THREADS
    }
    sys.stdout.write(json.dumps(medians | {f"ratio_{n}": r for n, r in ratios.items()}) + "\n")
    if options.write:
        by_threads = ", ".join(f"{r} with {n} thread{'s' * (n > 1)}" for n, r in ratios.items())
        figures.write("bench", f"refunds a second, as a ratio to a plain chain: {by_threads}")
    return 0


#: The two sides.
SIDES: Mapping[str, Callable[[Settings, InstantWix], Side]] = {"plain": plain, "ours": ours}


if __name__ == "__main__":
    sys.exit(main())
