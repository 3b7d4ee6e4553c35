"""The long chaos run: `make chaos` (seeded; `--minutes`, `--seed`, `--without`). Ends with JSON.

Everything in `plan.py` happens to the workers, their Redis and their link to Wix, and every tenth
call to Wix fails. At the end Wix's records must show each refund exactly once, upstream must have
got its events exactly once, and the audit must find nothing.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import redis

from config.loading import load_settings
from config.settings import Settings
from tests.chaos import child, figures
from tests.chaos.adopting import adopt_emptied
from tests.chaos.crew import Crew
from tests.chaos.failures import count_failures, ended, stores_of
from tests.chaos.harms import Harms
from tests.chaos.nodes import Nodes
from tests.chaos.plan import CELLS, DISTURBANCES, NUMBERS_OF_CELLS, OLDER, has_cells, plan
from tests.chaos.report import ADOPTED, failures, sentence
from tests.chaos.steppable import make_steppable
from tests.chaos.stormy_wix import FLAGS, StormySimulator, served
from tests.chaos.upstream import STORES, STORES_IN_CELLS, Upstream
from tests.support.dark_link import why_not
from worker.app import ledger_from
from worker.cells.names import FRONT, all_cells
from worker.cells.settings import settings_of
from worker.ledger.refunds import Ledger

#: A refund that has not ended so long after the last job is stuck.
PATIENCE_S = 600
TELL_EVERY_S = 5.0
#: A frozen worker stays frozen for this share of the run: one minute of five.
FREEZE_SHARE = 0.2
#: Which share of the stores has jobs from the beginning where they are spread over cells.
FIRST_STORES = 0.1
NAMESPACE = "chaos"
SETTINGS = child.QUICK | {
    "REFUNDS_THREADS": "8",
    "REFUNDS_WORKER_DEAD_AFTER_MS": "2000",
    "REFUNDS_WORKER_BEAT_MS": "300",
    # Longer than an answer takes on a busy machine: if most calls fail, all stores have to wait.
    "REFUNDS_WIX_CONNECT_TIMEOUT_MS": "1500",
    "REFUNDS_WIX_READ_TIMEOUT_MS": "1500",
    "REFUNDS_WIX_TOTAL_TIMEOUT_MS": "2000",
    "REFUNDS_SETTLE_DELAY_MS": "8000",
    "REFUNDS_RETRY_CAP_MS": "2000",
    "REFUNDS_RETRY_FOR_S": "86400",
    "REFUNDS_UNFULFILL_LOOKS": "100",
    "REFUNDS_ORDER_ROUNDS": "100",
    "REFUNDS_NAMESPACE": NAMESPACE,
    # So that a 429 stops its store for the second that Wix names, but slows it down little.
    "REFUNDS_STORE_CALLS_PER_MIN": "60000",
    "REFUNDS_WIX_ALLOW_HTTP": "true",
}


class Storm:
    """One run."""

    def __init__(self, seed: int, minutes: float, left_out: Mapping[str, str]) -> None:
        self.seed = seed
        self.minutes = minutes
        self.left_out = left_out
        self.simulator = StormySimulator(FLAGS, seed=seed)
        self.cells = 1 if CELLS in left_out else NUMBERS_OF_CELLS[-1]
        stores = STORES if CELLS in left_out else STORES_IN_CELLS
        self.upstream = Upstream(self.simulator, seed + 1, NAMESPACE, stores)
        self.place = Path(tempfile.mkdtemp(prefix="refunds-chaos-"))
        self.nodes = Nodes(self.place, NAMESPACE, self.cells)
        self.pause = threading.Event()
        self._told = 0.0

    def run(self) -> dict[str, Any]:
        """Run from the first job to the last refund; returns the summary."""
        self.started = time.monotonic()
        is_far = "blackout" not in self.left_out
        with self._running_servers(), served(self.simulator, is_far=is_far) as (url, link):
            environ = self._environ(url)
            self._connect(load_settings(environ | {"REFUNDS_CELLS": str(self.cells)}))
            self.crew = Crew(environ, self.place, self.nodes.front_url)
            freeze_s = self.minutes * 60 * FREEZE_SHARE
            self.harms = Harms(self.crew, self.nodes, self.simulator, link, self.upstream, freeze_s)
            try:
                summary = self._storm()
            finally:
                self.crew.end()
                for one in self.ledgers:
                    one._redis.close()
        if not failures(summary):
            shutil.rmtree(self.place)
        return summary

    def _connect(self, given: Settings) -> None:
        """Connect upstream and what is counted, to all cells that there will be."""
        self.ledgers_by_cell: dict[str, tuple[Settings, Ledger]] = {}
        for cell in all_cells(self.cells):
            settings = settings_of(given, cell, self.cells)
            broker, ledger = ledger_from(settings)
            make_steppable(broker, ledger)
            self.ledgers_by_cell[cell] = settings, ledger
            if cell == FRONT:
                self.upstream.broker, self.upstream.url = broker, self.nodes.url
        self.ledgers = [ledger for _, ledger in self.ledgers_by_cell.values()]

    def _storm(self) -> dict[str, Any]:
        if OLDER in self.left_out:
            self.simulator.change_reasons()
            self.crew.start()
        else:
            self.crew.start_older()
        begun = time.monotonic()
        actions = plan(self.seed, self.minutes, self.left_out)
        for action in actions:
            self._wait_until(begun + action.at_s)
            if action.what == "job":
                # Where stores are spread over cells, new ones come as long as cells are added.
                known = action.at_s / actions[-1].at_s if self.cells > 1 else 1.0
                self.upstream.send_new(max(known, FIRST_STORES))
            else:
                self.harms.begin(action.what, action.size)
        self.harms.finish()
        self.simulator.calm_down()
        self._wait_for_the_end()
        return {
            "runs": len(self.upstream.orders),
            "stores": self._stores(),
            **count_failures(self.ledgers_by_cell, self.upstream.orders),
            "actions": dict(self.harms.counts),
            "left_out": dict(self.left_out),
            "wix_calls": len(self.simulator.calls),
            "reason_text": self.simulator.flags.reason_text,
            "wix_wrongs": dict(self.simulator.wrongs),
            "took_s": round(time.monotonic() - self.started),
            "seed": self.seed,
        }

    @contextmanager
    def _running_servers(self) -> Iterator[None]:
        self.nodes.start()
        try:
            yield
        finally:
            self.nodes.end()

    def _stores(self) -> dict[str, int]:
        """Return how many stores have refunds in each cell."""
        homes = stores_of(self.ledgers_by_cell, len(self.upstream.orders))
        return {c: sum(c in found for found in homes.values()) for c in self.ledgers_by_cell}

    def _environ(self, wix_url: str) -> dict[str, str]:
        entry = {"account_id": "a", "api_key": "IST.simulator"}
        return SETTINGS | {
            "REFUNDS_REDIS_URL": self.nodes.url,
            "REFUNDS_WIX_BASE_URL": wix_url,
            "REFUNDS_STATE_DIR": str(self.place / "state"),
            "REFUNDS_STORES": json.dumps(dict.fromkeys(self.upstream.stores, entry)),
        }

    def _wait_until(self, moment: float) -> None:
        while (left_s := moment - time.monotonic()) > 0:
            self._look()
            self.pause.wait(min(left_s, TELL_EVERY_S))

    def _look(self) -> None:
        """Every few seconds do what a person would do, and print the progress."""
        now = time.monotonic()
        if now - self._told >= TELL_EVERY_S:
            self._told = now
            self._mend()
            self._tell(now)

    def _mend(self) -> None:
        """Start workers again that have ended by themselves, after what they wait for is done."""
        if dead := self.crew.count_dead():
            if adopted := adopt_emptied(self.ledgers_by_cell):
                self.harms.count(ADOPTED, adopted)
            self.harms.count("died by itself", dead)
            self.crew.replace_dead()

    def _tell(self, now: float) -> None:
        """Print the progress on standard error."""
        progress = "server is down"
        try:
            done = ended(self.ledgers)
            known = sum(ledger.count() for ledger in self.ledgers)
            progress = f"{done} ended, {known - done} on their way"
        except redis.RedisError:
            pass
        others = ", ".join(f"{n} x {what}" for what, n in self.harms.counts.items())
        wrong, calls = sum(self.simulator.wrongs.values()), len(self.simulator.calls)
        sys.stderr.write(
            f"{now - self.started:4.0f} s: {len(self.upstream.orders)} jobs, {progress};"
            f" {wrong} of {calls} calls went wrong; {others}\n"
        )

    def _wait_for_the_end(self) -> None:
        """Wait until nothing is running."""
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            if ended(self.ledgers) == len(self.upstream.orders):
                return
            self._look()
            self.pause.wait(0.2)


def _left_out(names: list[str], seed: int) -> dict[str, str]:
    """Return what the run leaves out, and why."""
    left_out = dict.fromkeys(names, "not wanted")
    if "blackout" not in left_out and (reason := why_not()):
        left_out["blackout"] = reason
    if CELLS not in left_out and not has_cells(seed):
        left_out[CELLS] = "not with this seed"
    for name, reason in left_out.items():
        sys.stderr.write(f"without {name}: {reason}\n")
    return left_out


def main() -> int:
    """Run it; returns the exit code."""
    parser = argparse.ArgumentParser(prog="make chaos", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument(
        "--without", nargs="+", default=[], choices=[*DISTURBANCES, OLDER], help="leave these out"
    )
    parser.add_argument("--write", action="store_true", help="write the figures into the README")
    options = parser.parse_args()
    sys.stderr.write(f"seed {options.seed}: repeat with --seed {options.seed}\n")
    storm = Storm(options.seed, options.minutes, _left_out(options.without, options.seed))
    summary = storm.run()
    sys.stdout.write(json.dumps(summary) + "\n")
    if failures(summary):
        sys.stderr.write(
            f"WRONG: {', '.join(failures(summary))}; the server's files are in {storm.place}\n"
        )
    elif options.write:
        figures.write("chaos", sentence(summary), runs=2)
    return int(bool(failures(summary)))


if __name__ == "__main__":
    sys.exit(main())
