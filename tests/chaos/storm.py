"""The long chaos run: `make chaos` (seeded; `--minutes`, `--seed`). The last line is JSON.

Workers are killed and frozen, the server is killed and restarted with its append-only file, the
clock of one worker is 61 s off, and every tenth call to Wix fails. At the end Wix's records must
show each refund exactly once, upstream must have got its events exactly once, and the audit must
find nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, NamedTuple

import redis
from dramatiq.errors import ConnectionClosed

from config.loading import load_settings
from statemachine.flows import ACTIVE, State
from tests.chaos import child, figures
from tests.chaos.scenes import SCENES, Scene
from tests.chaos.server import Server
from tests.chaos.verdict import judge
from worker.app import ledger_from
from worker.client import enqueue
from worker.refund.request import parse_request
from worker.simulator import Fault, Flags, Simulator, serve
from worker.simulator.world.orders import Order

STORES = 20
#: Disturbances of a run of five minutes; a shorter one has proportionally fewer.
REFUNDS, KILLS, RESTARTS = 2_400, 40, 4
#: A frozen worker stays frozen for this share of the run: one minute of five.
FREEZE_SHARE = 0.2
#: Jobs and disturbances come in this share of the run; the rest is for finishing.
STORM_SHARE = 0.85
#: A refund that has not ended so long after the last job is stuck.
PATIENCE_S = 240
TELL_EVERY_S = 5.0
SKEW_S = 61
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
#: Reads without the token are half a second old, and the provider needs time, too.
FLAGS = Flags(provider_ms=300, authorization_ms=300, stale_ms=500)
#: Kinds of refunds that must all finish; none may become a dead letter.
HOPEFUL = [scene for scene in SCENES.values() if scene.ends is not State.DEAD]
#: How a call fails. A slow one takes effect after the worker has given it up.
WRONGS: dict[str, Fault] = {
    "429": Fault("status", status=429),
    "500": Fault("status", status=500),
    "503": Fault("status", status=503),
    "504 after commit": Fault("lost_reply"),
    "cut before": Fault("drop"),
    "cut after commit": Fault("drop_after"),
    "timeout": Fault("slow", slow_ms=800),
    "garbage": Fault("garbage"),
}


class Deed(NamedTuple):
    """One disturbance, and when it happens after the start."""

    at_s: float
    what: str


@dataclass
class StormySimulator(Simulator):
    """A simulated Wix of which every tenth call fails.

    The nth call about an order has the same fault in every run of a seed, whatever the timing.
    """

    seed: int = 0
    is_calm: bool = False
    wrongs: Counter[str] = field(default_factory=Counter)
    _visits: Counter[str] = field(default_factory=Counter)

    def take_fault(self, endpoint: str, order_id: str) -> Fault | None:
        """Return a fault for every tenth call."""
        with self.lock:
            visit = f"{endpoint}/{order_id}"
            self._visits[visit] += 1
            chance = random.Random(f"{self.seed}/{visit}/{self._visits[visit]}")  # noqa: S311 - repeatable
            if self.is_calm or chance.random() >= 0.1:
                return None
            name = chance.choice(sorted(WRONGS))
            self.wrongs[name] += 1
        return WRONGS[name]


def plan(seed: int, minutes: float) -> list[Deed]:
    """Return all disturbances; they depend on the seed alone."""
    chance = random.Random(seed)  # noqa: S311 - repeatable on purpose
    share, storm_s = minutes / 5, minutes * 60 * STORM_SHARE
    jobs = max(40, round(REFUNDS * share))
    deeds = [Deed(storm_s * n / jobs, "job") for n in range(jobs)]
    for what, count in (
        ("kill", max(3, round(KILLS * share))),
        ("server", round(RESTARTS * share)),
    ):
        deeds += [Deed(chance.uniform(0.02, 1) * storm_s, what) for _ in range(max(1, count))]
    return sorted([*deeds, Deed(storm_s / 3, "freeze")])


class Storm:
    """One run."""

    def __init__(self, seed: int, minutes: float) -> None:
        self.seed = seed
        self.minutes = minutes
        self.chance = random.Random(seed + 1)  # noqa: S311 - repeatable on purpose
        self.simulator = StormySimulator(FLAGS, seed=seed)
        self.stores = [self.simulator.add_store(self._uuid()) for _ in range(STORES)]
        self.place = Path(tempfile.mkdtemp(prefix="refunds-chaos-"))
        self.server = Server(self.place)
        self.orders: dict[str, tuple[Scene, Order]] = {}
        self.workers: list[BaseProcess] = []
        self.frozen: BaseProcess | None = None
        self.deeds: Counter[str] = Counter()
        self.pause = threading.Event()
        self.started = time.monotonic()
        self._told = 0.0

    def run(self) -> dict[str, Any]:
        """Run from the first job to the last refund; returns the summary."""
        with serve(self.simulator) as wix_url, self._running_server():
            environ = self._environ(wix_url)
            self.broker, self.ledger = ledger_from(load_settings(environ))
            try:
                self.workers = [child.start(environ), child.start(environ, skew_s=SKEW_S)]
                for deed in plan(self.seed, self.minutes):
                    self._wait_until(self.started + deed.at_s)
                    self._do(deed.what, environ)
                storm_s = round(time.monotonic() - self.started)
                self._calm_down(environ)
                verdict = judge(self.ledger, self.orders, load_settings(environ))
            finally:
                for worker in self.workers:
                    child.end(worker)
                self.broker.client.close()
        summary = {
            "runs": len(self.orders),
            **verdict,
            "deeds": dict(self.deeds),
            "wix_calls": len(self.simulator.calls),
            "wix_wrongs": dict(self.simulator.wrongs),
            "storm_s": storm_s,
            "took_s": round(time.monotonic() - self.started),
            "seed": self.seed,
        }
        if not failures(summary):
            shutil.rmtree(self.place)
        return summary

    @contextmanager
    def _running_server(self) -> Iterator[None]:
        self.server.start()
        try:
            yield
        finally:
            self.server.end()

    def _environ(self, wix_url: str) -> dict[str, str]:
        stores = {store: {"account_id": "a", "api_key": "IST.simulator"} for store in self.stores}
        return SETTINGS | {
            "REFUNDS_REDIS_URL": self.server.url,
            "REFUNDS_WIX_BASE_URL": wix_url,
            "REFUNDS_NAMESPACE": "chaos",
            "REFUNDS_STORES": json.dumps(stores),
        }

    def _uuid(self) -> str:
        return str(uuid.UUID(int=self.chance.getrandbits(128), version=4))

    def _wait_until(self, moment: float) -> None:
        while (left_s := moment - time.monotonic()) > 0:
            self._tell()
            self.pause.wait(min(left_s, TELL_EVERY_S))

    def _tell(self) -> None:
        """Print the progress on standard error every few seconds."""
        now = time.monotonic()
        if now - self._told < TELL_EVERY_S:
            return
        self._told = now
        ended = "server is down"
        try:
            active = sum(self.ledger.count(state) for state in ACTIVE)
            ended = f"{self.ledger.count() - active} ended, {active} on their way"
        except redis.RedisError:
            pass
        others = ", ".join(f"{n} x {what}" for what, n in self.deeds.items() if what != "job")
        wrong, calls = sum(self.simulator.wrongs.values()), len(self.simulator.calls)
        sys.stderr.write(
            f"{now - self.started:4.0f} s: {len(self.orders)} jobs, {ended};"
            f" {wrong} of {calls} calls went wrong; {others}\n"
        )

    def _do(self, what: str, environ: dict[str, str]) -> None:
        self.deeds[what] += 1
        if what == "job":
            self._job()
        elif what == "kill":
            self._kill(environ)
        elif what == "freeze":
            threading.Thread(target=self._freeze, daemon=True).start()
        else:
            number = self.chance.choice((signal.SIGKILL, signal.SIGTERM))
            self.deeds[f"server {number.name}"] += 1
            self.server.end(number)
            self.server.start()

    def _kill(self, environ: dict[str, str]) -> None:
        """Kill one of the workers at once and without warning, but not the one that is frozen."""
        place = self.chance.randrange(2)
        if self.workers[place] is self.frozen:
            place = 1 - place
        child.end(self.workers[place])
        self.workers[place] = child.start(environ, skew_s=SKEW_S * place)

    def _freeze(self) -> None:
        """Freeze one worker in the middle of its steps, and let it continue later."""
        self.frozen = frozen = self.workers[0]
        if frozen.pid and frozen.is_alive():
            os.kill(frozen.pid, signal.SIGSTOP)
            self.pause.wait(self.minutes * 60 * FREEZE_SHARE)
            os.kill(frozen.pid, signal.SIGCONT)
            self.deeds["thaw"] += 1
        self.frozen = None

    def _job(self) -> None:
        store_id = self.chance.choice(self.stores)
        scene = self.chance.choice(HOPEFUL)
        order_id, refund_id = self._uuid(), f"rf-{self._uuid()}"
        self.orders[refund_id] = scene, scene.stage(self.simulator, store_id, order_id)
        ids = {"refund_id": refund_id, "store_id": store_id, "order_id": order_id}
        job = parse_request(ids | dict(scene.job))
        while True:
            try:
                return enqueue(self.broker, job)
            except ConnectionClosed:
                # Upstream sends the job again until it is accepted, as the documentation says.
                self.pause.wait(0.1)

    def _calm_down(self, environ: dict[str, str]) -> None:
        """Stop all faults and stale reads, and wait until nothing is running."""
        self.simulator.is_calm = True
        self.simulator.set_flags(stale_ms=0)
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            for place, worker in enumerate(self.workers):
                if not worker.is_alive():
                    self.deeds["died by itself"] += 1
                    self.workers[place] = child.start(environ)
            left = len(self.orders) - self.ledger.count()
            if not left and not any(self.ledger.count(state) for state in ACTIVE):
                return
            self._tell()
            self.pause.wait(0.2)


def failures(summary: dict[str, Any]) -> list[str]:
    """Return what must be 0 and is not."""
    names = ("lost", "doubled", "stuck", "dead", "rejected", "misheard", "disagreeing")
    return [name for name in names if summary[name]]


def _sentence(summary: dict[str, Any], minutes: float) -> str:
    deeds, freeze_s = summary["deeds"], minutes * 60 * FREEZE_SHARE
    return (
        f"{summary['runs']:,} refunds of {len(HOPEFUL)} kinds on {STORES} stores in"
        f" {summary['took_s']} s: {deeds['kill']} kills, {deeds['server']} restarts of the server,"
        f" one freeze of {freeze_s:.0f} s, {sum(summary['wix_wrongs'].values()):,} of"
        f" {summary['wix_calls']:,} calls gone wrong; lost {summary['lost']},"
        f" doubled {summary['doubled']}, stuck {summary['stuck']},"
        f" dead {summary['dead']} (seed {summary['seed']})"
    )


def main() -> int:
    """Run it; returns the exit code."""
    parser = argparse.ArgumentParser(prog="make chaos", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--write", action="store_true", help="write the figures into the README")
    options = parser.parse_args()
    sys.stderr.write(f"seed {options.seed}: repeat with --seed {options.seed}\n")
    storm = Storm(options.seed, options.minutes)
    summary = storm.run()
    sys.stdout.write(json.dumps(summary) + "\n")
    if failures(summary):
        sys.stderr.write(
            f"WRONG: {', '.join(failures(summary))}; the server's file is in {storm.place}\n"
        )
    elif options.write:
        figures.write("chaos", _sentence(summary, options.minutes), runs=2)
    return int(bool(failures(summary)))


if __name__ == "__main__":
    sys.exit(main())
