"""Failovers with a replica that lags: `make failover` (`--refunds`, `--scene`). Ends with JSON.

Sentinel: the primary is killed in the middle, and the replica that Sentinel promotes lacks the last
second. Split brain: a replica is promoted while the old primary goes on serving one of two workers.
Upstream sends again what it has not seen accepted or ended, as the README demands.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import redis

from config.loading import load_settings
from tests.chaos import child, figures
from tests.chaos.failures import count_failures, ended
from tests.chaos.spares import Gate
from tests.chaos.upstream import Upstream
from tests.support.failovers import OLD_S
from tests.support.processes import wait_until
from tests.support.servers import FAST, Node, node, sentinel, wait_for_link
from worker.app import ledger_from
from worker.cells.names import FRONT
from worker.simulator import Simulator, serve

NAMESPACE = "failover"
SEED = 14
LAG_S = 1.0
SETTLE_S = 30
#: When Sentinel takes the primary for dead.
DOWN_MS = 1_000
SETTINGS = child.QUICK | {
    "REFUNDS_NAMESPACE": NAMESPACE,
    "REFUNDS_THREADS": "4",
    "REFUNDS_WORKER_BEAT_MS": "300",
    "REFUNDS_WORKER_DEAD_AFTER_MS": "2000",
    # Much longer than a failover: only an order whose call may be forgotten waits for it.
    "REFUNDS_SETTLE_DELAY_MS": str(SETTLE_S * 1_000),
    "REFUNDS_RETRY_FOR_S": "86400",
    "REFUNDS_UNFULFILL_LOOKS": "100",
    "REFUNDS_ORDER_ROUNDS": "100",
}


class Scene:
    """Two workers, one upstream, and Wix."""

    def __init__(self, wix_url: str, simulator: Simulator, wait_replicas: int) -> None:
        self.simulator = simulator
        self.upstream = Upstream(simulator, SEED, NAMESPACE)
        entry = {"account_id": "a", "api_key": "IST.simulator"}
        self._environ = SETTINGS | {
            "REFUNDS_REDIS_WAIT_REPLICAS": str(wait_replicas),
            "REFUNDS_WIX_BASE_URL": wix_url,
            "REFUNDS_STORES": json.dumps(dict.fromkeys(self.upstream.stores, entry)),
        }
        self._workers: list[Any] = []
        self._clients: list[redis.Redis] = []

    def lead_to(self, url: str) -> None:
        """Connect upstream, and what is counted, to this address."""
        self.settings = load_settings(self._environ | {"REFUNDS_REDIS_URL": url})
        self.upstream.url = url
        self.upstream.broker, self.ledger = ledger_from(self.settings)
        self._clients.append(self.upstream.broker.client)

    def start_worker(self, url: str) -> None:
        """Start a worker that uses this address."""
        self._workers.append(child.start(self._environ | {"REFUNDS_REDIS_URL": url}))

    def end(self) -> None:
        """Kill the workers, and close all connections."""
        for worker in self._workers:
            child.end(worker)
        for client in self._clients:
            client.close()

    def effects(self) -> int:
        """Return how many changes Wix has carried out."""
        return sum(len(order.effects) for _, order in self.upstream.orders.values())

    def send(self, count: int) -> None:
        """Send new jobs, one after the other."""
        for _ in range(count):
            self.upstream.send_new()

    def unknown(self) -> list[str]:
        """Return the refunds that the ledger does not know, once no job is queued any more."""
        key = f"{self.ledger.ns}:refunds"
        client: Any = self.upstream.broker.client
        wait_until(lambda: not client.llen(key))
        return [refund_id for refund_id in self.upstream.orders if not self.ledger.load(refund_id)]

    def finish(self) -> dict[str, int]:
        """Wait until every refund has ended; returns what went wrong."""
        wait_until(lambda: ended([self.ledger]) == len(self.upstream.orders))
        return count_failures({FRONT: (self.settings, self.ledger)}, self.upstream.orders)


@contextmanager
def _scene(wait_replicas: int) -> Iterator[Scene]:
    simulator = Simulator()
    with serve(simulator) as wix_url:
        scene = Scene(wix_url, simulator, wait_replicas)
        try:
            yield scene
        finally:
            scene.end()


@contextmanager
def _place() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="refunds-failover-") as place:
        yield Path(place)


@contextmanager
def _lagging(place: Path) -> Iterator[tuple[Node, Node, Gate]]:
    """Yield a primary, its replica, and the gate between them."""
    with ExitStack() as stack:
        first = stack.enter_context(node(place, *FAST))
        gate = Gate(first.port)
        stack.callback(gate.close)
        second = stack.enter_context(node(place, *FAST, "--replicaof", f"127.0.0.1 {gate.port}"))
        wait_for_link(second)
        yield first, second, gate


def by_sentinel(refunds: int, wait_replicas: int) -> dict[str, Any]:
    """Kill the primary in the middle of the refunds; both replicas lack its last second."""
    pause = threading.Event()
    with (
        _place() as place,
        _lagging(place) as (first, _, gate),
        node(place, *FAST, "--replicaof", f"127.0.0.1 {gate.port}") as third,
        sentinel(place, first.port, down_ms=DOWN_MS) as (watcher, url),
        _scene(wait_replicas) as scene,
    ):
        wait_for_link(third)
        # One that Sentinel does not know would never follow the new primary, and confirm intents.
        wait_until(lambda: len(watcher.sentinel_slaves("refunds-db")) == 2)
        # One that started after the last tick in its data counts as restarted.
        wait_until(lambda: third.client.info("server")["uptime_in_seconds"] >= OLD_S)
        scene.lead_to(url)
        for _ in range(2):
            scene.start_worker(url)
        scene.send(refunds // 2)
        wait_until(lambda: scene.effects() >= refunds // 8)
        gate.open.clear()
        scene.send(refunds // 8)
        pause.wait(LAG_S)
        first.process.send_signal(signal.SIGKILL)
        first.process.wait()
        killed, before = time.monotonic(), scene.effects()
        sender = threading.Thread(target=scene.send, args=(refunds - len(scene.upstream.orders),))
        sender.start()
        wait_until(lambda: scene.effects() > before)
        first_refund_s = time.monotonic() - killed
        sender.join()
        lost = scene.unknown()
        scene.upstream.send_again()
        return {
            "refunds": refunds,
            "wait_replicas": wait_replicas,
            "first_refund_s": round(first_refund_s, 1),
            "forgotten_jobs_sent_again": len(lost),
            **scene.finish(),
        }


def split_brain(refunds: int, wait_replicas: int) -> dict[str, Any]:
    """Promote the replica while the old primary, cut off, goes on serving one of two workers.

    A third server follows the new primary, so that it has a replica to ask.
    """
    with (
        _place() as place,
        _lagging(place) as (first, second, gate),
        _scene(wait_replicas) as scene,
    ):
        old, new = (f"redis://127.0.0.1:{each.port}/0" for each in (first, second))
        scene.lead_to(old)
        scene.start_worker(old)
        scene.send(refunds)
        wait_until(lambda: scene.effects() >= refunds // 4)
        gate.open.clear()
        second.client.replicaof("NO", "ONE")
        with node(place, *FAST, "--replicaof", f"127.0.0.1 {second.port}") as third:
            wait_for_link(third)
            scene.lead_to(new)
            scene.start_worker(new)
            lost = scene.unknown()
            scene.upstream.send_again()
            return {
                "refunds": refunds,
                "wait_replicas": wait_replicas,
                "forgotten_jobs_sent_again": len(lost),
                **scene.finish(),
            }


SCENES: dict[str, Callable[[int, int], dict[str, Any]]] = {
    "failover by Sentinel": by_sentinel,
    "old primary goes on": split_brain,
}


def main() -> int:
    """Run each scene without and with waiting for a replica; returns 1 if a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--refunds", type=int, default=300)
    parser.add_argument("--scene", choices=SCENES, action="append")
    given = parser.parse_args()
    results = [
        {"scene": name} | SCENES[name](given.refunds, wait)
        for name in given.scene or SCENES
        for wait in (0, 1)
    ]
    sys.stdout.write(json.dumps(results, indent=1) + "\n")
    if not given.scene:
        figures.write("failover", "<br>".join(map(_sentence, results)))
    return int(any(_is_wrong(result) for result in results))


def _sentence(result: dict[str, Any]) -> str:
    first_s = result.get("first_refund_s")
    first = "" if first_s is None else f", the first one {first_s} s after the primary was killed"
    return (
        f"{result['scene']}, `REFUNDS_REDIS_WAIT_REPLICAS={result['wait_replicas']}`:"
        f" {result['refunds']} refunds{first}; {result['forgotten_jobs_sent_again']} forgotten jobs"
        f" sent again; lost {result['lost']}, doubled {result['doubled']}, stuck {result['stuck']}"
    )


def _is_wrong(result: dict[str, Any]) -> bool:
    """Return whether a promise was broken; without waiting, an old primary may double refunds.

    The first refund after a failover must not wait for the settle delay.
    """
    may_double = result["scene"] == "old primary goes on" and not result["wait_replicas"]
    waited = result.get("first_refund_s", 0.0) >= SETTLE_S
    broken = result["lost"] or result["stuck"] or (result["doubled"] and not may_double)
    return bool(broken or waited)


if __name__ == "__main__":
    sys.exit(main())
