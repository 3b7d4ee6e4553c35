"""The fault matrix: every command and call that a refund makes, under every harm, one at a time.

`make faults` prints the table and one line of JSON, and writes the table into the README; exit 1
if a refund was lost, doubled or stuck.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from config.loading import load_settings
from tests.chaos import child
from tests.chaos.proxy import HARMS, Plan, Proxy, http_name, http_size, proxied, redis_size
from tests.chaos.scenes import SCENES
from tests.house.documents import documents, with_part, write
from tests.support.rig import KEY, STORE_ID
from worker.app import ledger_from
from worker.client import enqueue
from worker.demo.embedded import embedded_server
from worker.ledger.refunds import Ledger
from worker.refund.request import parse_request
from worker.simulator import Fault, Simulator, serve

PLACES = (
    "before_claim",
    "after_claim",
    "before_intent",
    "before_call",
    "after_call",
    "before_commit",
    "after_commit",
)
#: A refund that has not ended by then is stuck.
PATIENCE_S = 25
#: What goes on all the time, with or without a refund.
_IDLE = {"beat", "wake", "requeue", "reclaim", "hello", "client", "ping", "info", "time", "other"}


@dataclass(frozen=True)
class Point:
    """Where something goes wrong."""

    scene: str
    server: str
    kind: str
    nth: int
    harm: str


@dataclass(frozen=True)
class Result:
    """How it ended, by Wix's books and our record."""

    point: Point
    lost: bool
    doubled: bool
    stuck: bool
    struck: bool


def _redis_name(ledger: Ledger, queue_sha: str) -> Callable[[bytes], str]:
    shas = {script.sha.encode(): name for name, script in ledger._scripts.items()}

    def name(request: bytes) -> str:
        parts = request.split(b"\r\n")
        command = parts[2].lower().decode() if len(parts) > 2 else "other"
        if command == "evalsha":
            sha = parts[4]
            if sha == queue_sha.encode():
                given = json.loads(parts[10])
                return f"{given['command']} {given['queue']}".strip()
            return shas.get(sha, "other")
        if command == "blmove":
            return f"blmove {parts[4].decode().split(':')[-1]}"
        return command

    return name


class Bench:
    """One refund, one worker behind two proxies, one simulator."""

    def __init__(self, redis_url: str, redis_port: int, scene: str) -> None:
        self.scene = SCENES[scene]
        self.simulator = Simulator()
        self.simulator.add_store(STORE_ID, KEY)
        self.order = self.scene.stage(self.simulator)
        self.refund_id = f"rf-{uuid.uuid4()}"
        self.environ = child.QUICK | {
            "REFUNDS_REDIS_URL": redis_url,
            "REFUNDS_NAMESPACE": f"m{uuid.uuid4().hex[:12]}",
            "REFUNDS_STORES": json.dumps({STORE_ID: {"account_id": "a", "api_key": KEY}}),
        }
        self.redis_port = redis_port
        settings = load_settings(self.environ)
        self.broker, self.ledger = ledger_from(settings)
        for script in (*self.ledger._scripts.values(), self.broker._queue_script):
            self.broker.client.script_load(script.script)

    @contextmanager
    def proxies(self) -> Iterator[tuple[Proxy, Proxy]]:
        """To Redis and to Wix."""
        name = _redis_name(self.ledger, self.broker._queue_script.sha)
        with (
            serve(self.simulator) as url,
            proxied(self.redis_port, name, redis_size) as to_redis,
            proxied(int(url.rsplit(":", 1)[1]), http_name, http_size) as to_wix,
        ):
            self.environ |= {
                "REFUNDS_REDIS_URL": f"redis://127.0.0.1:{to_redis.port}/0?socket_timeout=0.5",
                "REFUNDS_WIX_BASE_URL": f"http://127.0.0.1:{to_wix.port}",
            }
            yield to_redis, to_wix

    def ask(self) -> None:
        """The job, on the queue; not through the proxy: it is ours, not the worker's."""
        job = {"refund_id": self.refund_id, "store_id": STORE_ID, "order_id": self.order.id}
        enqueue(self.broker, parse_request(job | dict(self.scene.job)))

    def wait(self, is_over: Callable[[], bool]) -> bool:
        """Whether it happened in time."""
        pause = threading.Event()
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            if is_over():
                return True
            pause.wait(0.01)
        return False

    def has_ended(self) -> bool:
        """Whether the record says so."""
        refund = self.ledger.load(self.refund_id)
        return bool(refund and refund.state is self.scene.ends)

    def judge(self, point: Point, *, struck: bool) -> Result:
        """By Wix's books."""
        ended = self.has_ended()
        clean = not self.ledger.misplaced([self.refund_id], repair=False)
        return Result(
            point,
            lost=bool(self.scene.missing(self.order)),
            doubled=bool(self.scene.surplus(self.order)),
            stuck=not (ended and clean),
            struck=struck,
        )

    def close(self) -> None:
        """Give the connections back."""
        self.broker.client.close()


def points(redis_url: str, redis_port: int) -> list[Point]:
    """Every place where a refund talks, found by watching one undisturbed refund of each scene."""
    found = []
    for scene in SCENES:
        bench = Bench(redis_url, redis_port, scene)
        with bench.proxies() as (to_redis, to_wix):
            bench.ask()
            worker = child.start(bench.environ)
            try:
                if not bench.wait(bench.has_ended):
                    raise RuntimeError(f"an undisturbed refund ({scene}) does not end")
            finally:
                child.end(worker)
            for server, proxy in (("redis", to_redis), ("wix", to_wix)):
                kinds = Counter(k for k in proxy.seen if k.split(" ")[0] not in _IDLE)
                for kind, count in kinds.items():
                    # Fetches repeat as long as nothing comes: three of each are enough.
                    most = min(count, 3) if "fetch" in kind or "blmove" in kind else count
                    found += [
                        Point(scene, server, kind, nth, harm)
                        for nth in range(1, most + 1)
                        for harm in HARMS
                    ]
        bench.close()
        steps = range(1, to_redis.seen.count("claim") + 1)
        found += [Point(scene, "worker", at, nth, "killed") for at in PLACES for nth in steps]
    return found


def run(redis_url: str, redis_port: int, point: Point, *faults: Fault) -> Result:
    """One refund under one harm, and under these faults of Wix."""
    bench = Bench(redis_url, redis_port, point.scene)
    bench.simulator.script(*faults)
    with bench.proxies() as (to_redis, to_wix):
        at = (point.kind, point.nth) if point.server == "worker" else None
        worker = child.start(bench.environ, at)
        plan = None
        if at is None:
            proxy = to_redis if point.server == "redis" else to_wix
            harm: Any = point.harm
            plan = proxy.plan = Plan(point.kind, point.nth, harm, kill=worker.kill)
        bench.ask()
        second = None
        try:
            if point.harm == "killed":
                bench.wait(lambda: not worker.is_alive() or bench.has_ended())
                second = child.start(bench.environ)
            bench.wait(bench.has_ended)
            struck = plan.done.is_set() if plan else not worker.is_alive()
            bench.wait(lambda: not bench.ledger.misplaced([bench.refund_id], repair=False))
        finally:
            child.end(worker)
            if second:
                child.end(second)
        result = bench.judge(point, struck=struck)
    bench.close()
    return result


def table(results: list[Result]) -> str:
    """Points by harms: how many refunds were run, and how many went wrong."""
    rows = ["| refund | between worker and | " + " | ".join(HARMS) + " | lost | doubled | stuck |"]
    rows.append("|---" * (len(HARMS) + 5) + "|")
    for scene in SCENES:
        for server in ("redis", "wix", "worker"):
            mine = [r for r in results if (r.point.scene, r.point.server) == (scene, server)]
            counts = Counter(r.point.harm for r in mine)
            wrong = [sum(getattr(r, name) for r in mine) for name in ("lost", "doubled", "stuck")]
            where = "its own next step" if server == "worker" else server
            cells = [scene, where, *(counts[harm] or "" for harm in HARMS), *wrong]
            rows.append("| " + " | ".join(str(cell) for cell in cells) + " |")
    return "\n".join(rows) + "\n"


def run_all(todo: list[Point], redis_url: str, redis_port: int, workers: int) -> list[Result]:
    """All of them, some at once; tells its progress on standard error."""
    results = []
    with ThreadPoolExecutor(workers) as pool:
        for result in pool.map(lambda point: run(redis_url, redis_port, point), todo):
            results.append(result)
            if len(results) % 25 == 0:
                sys.stderr.write(f"{len(results)} of {len(todo)}\n")
            if result.lost or result.doubled or result.stuck:
                sys.stderr.write(f"WRONG {result}\n")
    return results


def matrix(*, third: int | None, workers: int) -> list[Result]:
    """Start a server, find the points, run them: all, or a third chosen by a seed."""
    with embedded_server() as redis_url:
        port = int(redis_url.rsplit(":", 1)[1].split("/")[0])
        todo = points(redis_url, port)
        if third is not None:
            todo = random.Random(third).sample(todo, len(todo) // 3)  # noqa: S311 - no secret
        return run_all(todo, redis_url, port, workers)


def summary(results: list[Result], seed: int | None) -> dict[str, int | None]:
    """The line of JSON at the end."""
    return {
        "runs": len(results),
        "lost": sum(r.lost for r in results),
        "doubled": sum(r.doubled for r in results),
        "stuck": sum(r.stuck for r in results),
        "not_struck": sum(not r.struck for r in results),
        "seed": seed,
    }


def main() -> int:
    """Run the matrix; returns the exit code."""
    parser = argparse.ArgumentParser(prog="make faults", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--third", type=int, metavar="SEED", help="only a third, chosen by SEED")
    parser.add_argument("--workers", type=int, default=6, help="refunds at once")
    parser.add_argument("--write", action="store_true", help="write the table into the README")
    options = parser.parse_args()
    results = matrix(third=options.third, workers=options.workers)
    sys.stdout.write(table(results))
    told = summary(results, options.third)
    sys.stdout.write(json.dumps(told) + "\n")
    if options.write:
        write(with_part(documents(), "faults", table(results)))
    return int(any(told[name] for name in ("lost", "doubled", "stuck")))


if __name__ == "__main__":
    sys.exit(main())
