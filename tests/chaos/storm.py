"""The long chaos run: `make chaos` (seeded; `--minutes`, `--seed`). Ends with one line of JSON.

Workers are killed and frozen, the server is killed and restarted on its append-only file, one
worker's clock is 61 s off, and every tenth call to Wix goes wrong. At the end Wix's books must show
every order exactly once, and the audit must be clean.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
import tempfile
import threading
import time
import uuid
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import redis
from dramatiq.errors import ConnectionClosed

from config.loading import load_settings
from statemachine.flows import ACTIVE, State
from tests.chaos import child
from tests.rig import AFTER, BEFORE
from worker.app import ledger_from
from worker.broker import Broker
from worker.client import enqueue
from worker.embedded import embedded_server
from worker.ledger import Ledger
from worker.refund import parse_request
from worker.simulator import Fault, Flags, Simulator, serve

STORES = 20
#: Refunds and kills of a run of five minutes; a shorter one has its share.
REFUNDS, KILLS, RESTARTS = 2_000, 40, 4
FREEZE_S = 60
#: Stops longer than that after the last job are a stuck refund.
PATIENCE_S = 180
SETTINGS = child.QUICK | {
    "REFUNDS_THREADS": "8",
    "REFUNDS_WORKER_DEAD_AFTER_MS": "2000",
    "REFUNDS_WORKER_BEAT_MS": "300",
    "REFUNDS_SETTLE_DELAY_MS": "3000",
    "REFUNDS_RETRY_CAP_MS": "2000",
    "REFUNDS_RETRY_FOR_S": "86400",
    "REFUNDS_UNFULFILL_LOOKS": "100",
    "REFUNDS_ORDER_ROUNDS": "100",
}


@dataclass
class StormySimulator(Simulator):
    """Wix on a bad day: every tenth call goes wrong, chosen by the seed."""

    chance: random.Random = field(default_factory=random.Random)

    def take_fault(self, endpoint: str, order_id: str) -> Fault | None:
        """Mostly nothing."""
        with self.lock:
            if self.chance.random() >= 0.1:
                return None
            kind = self.chance.choice(
                ("429", "500", "503", "lost_reply", "drop", "drop_after", "slow", "garbage")
            )
        if kind.isdigit():
            return Fault("status", endpoint, order_id, status=int(kind))
        return Fault(kind, endpoint, order_id, slow_ms=800)  # type: ignore[arg-type]  # one of its kinds


class Storm:
    """One run."""

    def __init__(self, seed: int, minutes: float) -> None:
        self.seed = seed
        self.minutes = minutes
        self.share = minutes / 5
        self.chance = random.Random(seed)  # noqa: S311 - repeatable on purpose
        flags = Flags(provider_ms=300, stale_ms=500)
        self.simulator = StormySimulator(flags, chance=random.Random(seed + 1))  # noqa: S311 - see above
        self.stores = [self.simulator.add_store() for _ in range(STORES)]
        self.place = Path(tempfile.mkdtemp(prefix="refunds-chaos-"))
        self.orders: dict[str, str] = {}
        self.workers: list[BaseProcess] = []
        self.deeds: Counter[str] = Counter()
        self.pause = threading.Event()

    def run(self) -> dict[str, Any]:
        """From the first job to the last refund; returns the summary."""
        started = time.monotonic()
        with ExitStack() as world, serve(self.simulator) as wix_url:
            server = world.enter_context(ExitStack())
            url = server.enter_context(embedded_server(directory=self.place))
            port = int(url.rsplit(":", 1)[1].split("/")[0])
            stores = {
                store: {"account_id": "a", "api_key": "IST.simulator"} for store in self.stores
            }
            environ = SETTINGS | {
                "REFUNDS_REDIS_URL": url,
                "REFUNDS_WIX_BASE_URL": wix_url,
                "REFUNDS_NAMESPACE": "chaos",
                "REFUNDS_STORES": json.dumps(stores),
            }
            broker, ledger = ledger_from(load_settings(environ))
            self.workers = [child.start(environ), child.start(environ, skew_s=61)]
            for what in self._plan():
                self._do(what, environ, broker, server, port)
            took_s = time.monotonic() - started
            self._finish(environ, ledger)
            summary = self._judge(ledger) | {"seconds_of_storm": round(took_s)}
            for worker in self.workers:
                child.end(worker)
            broker.client.close()
        return summary

    def _plan(self) -> list[str]:
        """All that will happen, in its order: the seed alone decides."""
        deeds = (
            ["job"] * max(40, round(REFUNDS * self.share))
            + ["kill"] * max(3, round(KILLS * self.share))
            + ["restart"] * max(1, round(RESTARTS * self.share))
        )
        self.chance.shuffle(deeds)
        deeds.insert(len(deeds) // 3, "freeze")
        return deeds

    def _do(
        self, what: str, environ: dict[str, str], broker: Broker, server: ExitStack, port: int
    ) -> None:
        self.deeds[what] += 1
        if what == "job":
            self._job(broker)
            self.pause.wait(self.minutes * 60 * 0.8 / max(40, round(REFUNDS * self.share)))
        elif what == "kill":
            place = self.chance.randrange(2)
            child.end(self.workers[place])
            self.workers[place] = child.start(environ, skew_s=61 * place)
        elif what == "freeze":
            frozen = self.workers[0]
            threading.Thread(target=self._freeze, args=(frozen,), daemon=True).start()
        else:
            client = broker.client
            pid = int(client.info("server")["process_id"])
            os.kill(pid, self.chance.choice((signal.SIGKILL, signal.SIGTERM)))
            server.close()
            server.enter_context(embedded_server(port=port, directory=self.place))
        done = sum(self.deeds.values())
        if done % 100 == 0:
            sys.stderr.write(f"{self.deeds['job']} jobs; so far {dict(self.deeds)}\n")

    def _freeze(self, frozen: BaseProcess) -> None:
        if frozen.pid and frozen.is_alive():
            os.kill(frozen.pid, signal.SIGSTOP)
            self.pause.wait(min(FREEZE_S, FREEZE_S * self.share))
            if frozen.is_alive():
                os.kill(frozen.pid, signal.SIGCONT)

    def _job(self, broker: Broker) -> None:
        store_id = self.chance.choice(self.stores)
        created = self.chance.choice((BEFORE, AFTER))
        fulfillments = self.chance.choice((0, 1, 2)) if created == BEFORE else 0
        order = self.simulator.add_order(store_id, created_date=created, fulfillments=fulfillments)
        refund_id = f"rf-{uuid.UUID(int=self.chance.getrandbits(128))}"
        self.orders[refund_id] = order.id
        job = parse_request({"refund_id": refund_id, "store_id": store_id, "order_id": order.id})
        while True:
            try:
                return enqueue(broker, job)
            except ConnectionClosed:
                # Upstream does what its documentation says: again, until it is told yes.
                self.pause.wait(0.1)

    def _finish(self, environ: dict[str, str], ledger: Ledger) -> None:
        """Calm weather: wait until nothing is on its way."""
        self.simulator.chance = _Calm()
        for place, worker in enumerate(self.workers):
            if not worker.is_alive():
                self.workers[place] = child.start(environ)
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            try:
                left = len(self.orders) - ledger.count()
                left += sum(ledger.count(state) for state in ACTIVE)
            except redis.RedisError:
                left = -1
            if left == 0:
                return
            self.pause.wait(0.2)

    def _judge(self, ledger: Ledger) -> dict[str, Any]:
        """By Wix's books, and by the audit."""
        books = self.simulator.books()["orders"]
        effects = {
            i: books[o]["cancellations"] + len(books[o]["refunds"]) for i, o in self.orders.items()
        }
        misplaced = ledger.misplaced(list(self.orders), repair=False)
        dead = list(ledger.newest(state=State.DEAD, limit=1000))
        for refund in dead[:5]:
            sys.stderr.write(f"DEAD {refund.public()}\n")
        doubled = [i for i, n in effects.items() if n > 1]
        for refund_id in doubled[:5]:
            sys.stderr.write(f"DOUBLED {refund_id}: {ledger.history(refund_id)}\n")
        rejected = ledger.count(State.REJECTED)
        return {
            "runs": len(self.orders),
            "lost": sum(n == 0 for n in effects.values()),
            "doubled": len(doubled),
            "stuck": sum(ledger.count(state) for state in ACTIVE) + len(misplaced),
            "dead": len(dead),
            "rejected": rejected,
            "wix_calls": self.simulator.books()["calls"],
            "deeds": dict(self.deeds),
            "seed": self.seed,
        }


class _Calm(random.Random):
    """A good day."""

    def random(self) -> float:
        """Nothing goes wrong."""
        return 1.0


def main() -> int:
    """Run it; returns the exit code."""
    parser = argparse.ArgumentParser(prog="make chaos", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    options = parser.parse_args()
    sys.stderr.write(f"seed {options.seed}: repeat with --seed {options.seed}\n")
    summary = Storm(options.seed, options.minutes).run()
    sys.stdout.write(json.dumps(summary) + "\n")
    return int(any(summary[name] for name in ("lost", "doubled", "stuck", "dead", "rejected")))


if __name__ == "__main__":
    sys.exit(main())
