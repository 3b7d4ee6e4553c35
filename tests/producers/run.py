"""Four producers at once, and three consumers: `make upstream` (seeded; `--jobs`, `--seed`).

A part of the jobs are repeats, malformed, conflicting or badly signed. Each job that is right must
be refunded exactly once, each other one refused with the right reason. Each consumer is killed and
started again in the middle, and must get each event, in order per refund. Ends with two tables.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import redis

from statemachine.flows import TERMINAL
from tests.producers.judge import (
    Got,
    World,
    judge_consumer,
    judge_items,
    judge_refunds,
    letters_of,
    read_lines,
)
from tests.producers.plan import PRODUCERS, Item, Kind, Plan
from tests.producers.programs import Programs, cannot, settings
from tests.support.receiver import SECRET
from tests.support.servers import free_port
from worker.demo.embedded import embedded_server
from worker.refund.outcomes import read
from worker.refund.record import refund_from
from worker.serving.tokens import hash_of
from worker.simulator import Simulator, serve

NAMESPACE, TOKEN = "upstream", "rfd_of-the-producer-over-http"
CONSUMERS = ("group", "webhook", "poll")
#: When a consumer is killed: the share of the refunds that have ended by then.
KILLED_AT = {"group": 0.3, "webhook": 0.4, "poll": 0.5}
#: How long it is away, and how long nothing may happen.
AWAY_S, PATIENCE_S = 2.0, 240.0
TELL_EVERY_S = 10.0


class Run:
    """One run."""

    def __init__(self, seed: int, jobs: int) -> None:
        self.left_out = {name: why for name in PRODUCERS if (why := cannot(name))}
        producers = [name for name in PRODUCERS if name not in self.left_out]
        self.plan = Plan(seed, jobs, producers)
        self.producers = producers
        self.place = Path(tempfile.mkdtemp(prefix="refunds-upstream-"))
        self.simulator = Simulator()
        self.simulator.set_flags(refund_answer="settled")
        self.pause = threading.Event()
        self.killed: Counter[str] = Counter()
        self.took_s = 0.0

    def run(self) -> tuple[World, dict[str, Got]]:
        """Send everything, wait for the end, and return what there is then."""
        for store_id in self.plan.stores:
            self.simulator.add_store(store_id)
        self._place_orders()
        port = free_port()
        hook: dict[str, object] = {
            "url": f"http://127.0.0.1:{port}/",
            "secret": SECRET,
            "types": ["*"],
        }
        hook |= {"stores": ["*"], "allow_private": True}
        token: dict[str, object] = {"sha256": [hash_of(TOKEN)], "stores": ["*"]}
        with embedded_server() as redis_url, serve(self.simulator) as wix_url:
            given = settings(redis_url, wix_url, self.plan.stores, hook, token)
            more = {"NAMESPACE": NAMESPACE, "TOKEN": TOKEN, "SECRET": SECRET, "PORT": str(port)}
            programs = Programs(self.place, given | more | {"REDIS_URL": redis_url})
            self.redis: Any = redis.Redis.from_url(redis_url, decode_responses=True)
            try:
                self._go(programs)
                return self._end(programs)
            finally:
                programs.end()
                self.redis.close()

    def _place_orders(self) -> None:
        for item in self.plan.items:
            order_id = str(item.job.get("order_id"))
            store_id = str(item.job.get("store_id"))
            if store_id in self.simulator.stores and order_id not in self.simulator.orders:
                self.simulator.add_order(
                    store_id, created_date="2025-01-02T03:04:05.000Z", order_id=order_id
                )

    def _go(self, programs: Programs) -> None:
        programs.start_workers(2)
        programs.start_api()
        for name in CONSUMERS:
            programs.start_consumer(name)
        self.started = self.moved = self.told = time.monotonic()
        for name in self.producers:
            programs.start_producer(name, self.plan.of(name))
        away: dict[str, float] = {}
        before: tuple[int, ...] = ()
        while not self._is_over(programs):
            now, ended = time.monotonic(), self._ended()
            for name, share in KILLED_AT.items():
                if not self.killed[name] and ended >= share * len(self.plan.orders):
                    programs.kill(name)
                    self.killed[name], away[name] = ended, now
                if name in away and now - away[name] >= AWAY_S:
                    del away[name]
                    programs.start_consumer(name)
            state = (ended, *(self._lines(programs, name) for name in CONSUMERS))
            if state != before:
                before, self.moved = state, now
            if now - self.moved > PATIENCE_S:
                break
            if now - self.told > TELL_EVERY_S:
                self.told = now
                got = ", ".join(f"{name} {n}" for name, n in zip(CONSUMERS, state[1:], strict=True))
                sys.stderr.write(
                    f"{now - self.started:4.0f} s: {ended} of {len(self.plan.orders)} refunds have"
                    f" ended; bytes got: {got}\n"
                )
            self.pause.wait(0.1)
        self.took_s = time.monotonic() - self.started

    def _is_over(self, programs: Programs) -> bool:
        """Whether all is sent and has ended, and each consumer has got all events."""
        is_sending = [name for name in self.producers if programs.is_running(name)]
        waiting = self.redis.llen(self._key("refunds"))
        if is_sending or waiting or self._ended() < len(self.plan.orders):
            return False
        count = self.redis.xlen(self._key("outcomes"))
        return all(len(set(read_lines(programs.events_of(name)))) >= count for name in CONSUMERS)

    def _lines(self, programs: Programs, consumer: str) -> int:
        path = programs.events_of(consumer)
        return path.stat().st_size if path.exists() else 0

    def _ended(self) -> int:
        with self.redis.pipeline(transaction=False) as pipe:
            for state in sorted(TERMINAL):
                pipe.zcard(self._key(f"state:{state}"))
            return sum(pipe.execute())

    def _end(self, programs: Programs) -> tuple[World, dict[str, Got]]:
        """Read the ledger, Wix's books and what the consumers got."""
        accepted = {}
        for refund_id in self.redis.zrange(self._key("accepted"), 0, -1):
            record = refund_from(self.redis.hgetall(self._key(f"refund:{refund_id}")))
            accepted[refund_id] = record.request.model_dump(mode="json")
        refunds = {order.id: len(order.refunds) for order in self.simulator.orders.values()}
        letters = letters_of(self.redis.hgetall(self._key("quarantine")))
        events = [event for _, event in read(self.redis, NAMESPACE)]
        stream = [(event["id"], event["subject"], event["type"]) for event in events]
        world = World(programs.answers(), accepted, letters, refunds)
        got = {
            name: judge_consumer(stream, read_lines(programs.events_of(name))) for name in CONSUMERS
        }
        return world, got

    def _key(self, name: str) -> str:
        return f"{{{NAMESPACE}}}:{name}"


def table(plan: Plan, wrong: list[tuple[Item, str]], got: Mapping[str, Got]) -> str:
    """Return what was sent and got, as Markdown."""
    kinds: tuple[Kind, ...] = ("new", "repeat", "malformed", "conflicting", "badly signed")
    rows = [f"| producer | {' | '.join(kinds)} | wrong |", f"|---|{'---|' * (len(kinds) + 1)}"]
    for name in PRODUCERS:
        counts = Counter(item.kind for item in plan.of(name))
        bad = sum(item.producer == name for item, _ in wrong)
        rows.append(f"| {name} | {' | '.join(str(counts[kind]) for kind in kinds)} | {bad} |")
    rows += ["", f"| consumer | {' | '.join(Got._fields)} |", f"|---|{'---|' * len(Got._fields)}"]
    rows += [f"| {name} | {' | '.join(map(str, one))} |" for name, one in got.items()]
    return "\n".join(rows) + "\n"


def main() -> int:
    """Run it; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="make upstream", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    options = parser.parse_args()
    sys.stderr.write(f"seed {options.seed}: repeat with --seed {options.seed}\n")
    run = Run(options.seed, options.jobs)
    for name, why in run.left_out.items():
        sys.stderr.write(f"without {name}: {why}\n")
    world, got = run.run()
    wrong, refunds = judge_items(run.plan, world), judge_refunds(run.plan, world)
    sys.stdout.write(table(run.plan, wrong, got))
    sys.stdout.write(
        f"\n{len(run.plan.items)} jobs, {len(world.accepted)} refunds, {len(world.letters)} dead"
        f" letters in {run.took_s:.0f} s; wrong refunds: {dict(refunds) or 'none'}\n"
    )
    for item, why in wrong[:20]:
        sys.stderr.write(f"WRONG: {item.producer} {item.number} {item.kind}: {why}\n")
    is_wrong = bool(wrong or refunds or any(one.is_wrong for one in got.values()))
    if is_wrong:
        sys.stderr.write(f"the files of the run are in {run.place}\n")
    else:
        shutil.rmtree(run.place)
    return int(is_wrong)


if __name__ == "__main__":
    sys.exit(main())
