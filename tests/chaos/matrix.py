"""The fault matrix: each command and call of a refund, with each harm, one at a time.

`make faults` prints the table and one line of JSON, and writes the table into the README; the exit
code is 1 if a refund was lost, doubled or stuck.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from tests.chaos import child
from tests.chaos.bench import HARMS, Bench, Point, Result, is_idle, new_namespace
from tests.chaos.frozen import FROZEN, run_frozen
from tests.chaos.scenes import SCENES
from tests.chaos.spares import Spare, backup, replica
from tests.house.documents import documents, with_part, write
from worker.demo.embedded import embedded_server
from worker.simulator import Fault

PLACES = (
    "before_claim",
    "handed_over",
    "after_claim",
    "before_intent",
    "before_call",
    "after_call",
    "before_commit",
    "after_commit",
)
#: Not between the last check and the call: a call that is sent so late may be a second one, see
#: worker/README.md.
HARMS_AT_PLACES = {
    "killed": PLACES,
    FROZEN: tuple(place for place in PLACES if place != "before_call"),
}
#: The columns of the table.
COLUMNS = (*HARMS, FROZEN)
#: A sample is one in so many points.
SHARE = 12
#: In every sample each harm strikes the first of each of these, of some kinds of refund that take
#: turns, and all places, of one kind of refund.
ALWAYS = ("claim", "commit", "fetch steps", "GET /ecom/v1/orders/*")
#: And this call of each kind of refund, which changes something at Wix.
CHANGES = {
    "cancellation": "POST /ecom/v1/orders/*/cancel",
    "cancellation, authorized only": "POST /ecom/v1/order-billing/void-authorized-payments",
    "cancellation, refused": "POST /ecom/v1/fulfillments/orders/*/create-fulfillment",
    "cancellation, refunded first": "POST /ecom/v1/order-billing/refund-payments",
    "standard": "POST /ecom/v1/order-billing/refund-payments",
    "standard, a part of two payments": "POST /ecom/v1/order-billing/refund-payments",
}


def points(redis_port: int) -> list[Point]:
    """Return all points of a refund of each scene, found by watching one without harm."""
    found = []
    for scene in SCENES:
        bench = Bench(redis_port, scene)
        with bench.proxies() as (to_redis, to_wix):
            bench.ask()
            worker = child.start(bench.environ)
            try:
                if not bench.wait(bench.has_ended):
                    raise RuntimeError(f"an undisturbed refund ({scene}) does not end")
            finally:
                child.end(worker)
            for server, proxy in (("redis", to_redis), ("wix", to_wix)):
                kinds = Counter(k for k in proxy.seen if not is_idle(k))
                for kind, count in kinds.items():
                    # Fetches are repeated while nothing arrives: three of each are enough.
                    most = min(count, 3) if "fetch" in kind or "blmove" in kind else count
                    found += [
                        Point(scene, server, kind, nth, harm)
                        for nth in range(1, most + 1)
                        for harm in HARMS
                    ]
        bench.close()
        found += [
            Point(scene, "worker", at, nth, harm)
            for harm, places in HARMS_AT_PLACES.items()
            for at, nth in visits(to_redis.seen)
            if at in places
        ]
    return found


def visits(commands: list[str]) -> Iterator[tuple[str, int]]:
    """Yield each place of each step, and which visit of that place it is.

    A step begins with a claim, or is handed over by the commit of the step before.
    """
    claims, commits = commands.count("claim"), commands.count("commit")
    counts = {"before_claim": claims, "handed_over": commits - claims}
    for place in PLACES:
        for nth in range(1, counts.get(place, commits) + 1):
            yield place, nth


@contextmanager
def _spare(point: Point, redis_port: int, namespace: str) -> Iterator[Spare | None]:
    """Start the server that will take over, if one will."""
    kind = HARMS[point.harm].spare if point.harm in HARMS else ""
    if kind == "backup":
        with backup(redis_port, f"{{{namespace}}}") as spare:
            yield spare
    elif kind == "replica":
        with replica() as spare:
            yield spare
    else:
        yield None


def run(redis_port: int, point: Point, *faults: Fault) -> Result:
    """Run one refund with one harm, and with these faults of Wix."""
    namespace = new_namespace()
    with _spare(point, redis_port, namespace) as spare:
        bench = Bench(spare.primary if spare else redis_port, point.scene, namespace)
        bench.simulator.script(*faults)
        try:
            if point.harm == FROZEN:
                return run_frozen(bench, point)
            return _run(bench, point, spare)
        finally:
            bench.close()


def _run(bench: Bench, point: Point, spare: Spare | None) -> Result:
    is_place = point.server == "worker"
    with bench.proxies():
        worker = child.start(bench.environ, (point.kind, point.nth) if is_place else None)
        workers = [worker]
        plan = None if is_place else bench.plan(point, worker.kill, spare)
        try:
            if spare or HARMS[point.harm].step_s:
                # As in every installation that has been running for a while.
                bench.wait(lambda: bench.to_redis.seen.count("wake") > 1)
            bench.ask()
            if HARMS[point.harm].kills:
                bench.wait(lambda: not worker.is_alive() or bench.has_ended())
                workers.append(child.start(bench.environ))
            bench.wait(bench.has_ended)
            if plan and plan.struck.is_set():
                bench.wait(plan.done.is_set)
                # The end may have been lost with the server.
                bench.wait(bench.has_ended)
            struck = plan.done.is_set() if plan else not worker.is_alive()
            bench.wait(bench.is_clean)
        finally:
            for one in workers:
                child.end(one)
        return bench.result(point, struck=struck)


def table(results: list[Result]) -> str:
    """Return the table: points by harms, how many refunds were run, and how many went wrong."""
    rows = [
        "| refund | between worker and | " + " | ".join(COLUMNS) + " | lost | doubled | stuck |"
    ]
    rows.append("|---" * (len(COLUMNS) + 5) + "|")
    for scene in SCENES:
        for server in ("redis", "wix", "worker"):
            mine = [r for r in results if (r.point.scene, r.point.server) == (scene, server)]
            counts = Counter(r.point.harm for r in mine)
            wrong = [sum(getattr(r, name) for r in mine) for name in ("lost", "doubled", "stuck")]
            where = "its own next step" if server == "worker" else server
            cells = [scene, where, *(counts[harm] or "" for harm in COLUMNS), *wrong]
            rows.append("| " + " | ".join(str(cell) for cell in cells) + " |")
    not_struck = sum(not r.struck for r in results)
    rows.append(
        f"\nThese are {len(results):,} runs. In {not_struck} of them the command or call of the"
        " run without a fault did not occur again, so that the fault did not strike."
    )
    return "\n".join(rows) + "\n"


def run_all(todo: list[Point], redis_port: int, workers: int) -> list[Result]:
    """Run all points, some at once; prints the progress on standard error."""
    results = []
    with ThreadPoolExecutor(workers) as pool:
        for result in pool.map(lambda point: run(redis_port, point), todo):
            results.append(result)
            if len(results) % 25 == 0:
                sys.stderr.write(f"{len(results)} of {len(todo)}\n")
            if result.lost or result.doubled or result.stuck:
                sys.stderr.write(f"WRONG {result}\n")
    return results


def _is_always_run(point: Point) -> bool:
    """Return whether this point is in every sample: it occurs in every run of its refund."""
    turn = list(SCENES).index(point.scene)
    kinds = {kind for place, kind in enumerate(ALWAYS) if place % 3 == turn % 3}
    places = () if turn else PLACES
    return point.nth == 1 and point.kind in {*kinds, CHANGES[point.scene], *places}


def sample(todo: list[Point], seed: int) -> Iterator[Point]:
    """Return a share of the points of each harm between a refund and a server, at least one.

    Whether a point is chosen hardly depends on which others were found, or in which order.
    """
    groups: dict[tuple[str, str, str], list[Point]] = {}
    for point in todo:
        groups.setdefault((point.scene, point.server, point.harm), []).append(point)
    for group in groups.values():
        drawn = {p: random.Random(f"{seed} {p}").random() for p in group}  # noqa: S311 - no secret
        group.sort(key=lambda point: (not _is_always_run(point), drawn[point]))
        always = sum(map(_is_always_run, group))
        yield from group[: max(always, -(-len(group) // SHARE))]


def matrix(*, seed: int | None, workers: int) -> list[Result]:
    """Start a server, find the points, and run them: all, or a sample that the seed chooses."""
    with embedded_server() as redis_url:
        port = int(redis_url.rsplit(":", 1)[1].split("/")[0])
        todo = points(port)
        if seed is not None:
            todo = list(sample(todo, seed))
        return run_all(todo, port, workers)


def summary(results: list[Result], seed: int | None) -> dict[str, int | None]:
    """Return the line of JSON at the end."""
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
    parser.add_argument("--sample", type=int, metavar="SEED", help="only a sample, chosen by SEED")
    parser.add_argument("--workers", type=int, default=6, help="refunds at once")
    parser.add_argument("--write", action="store_true", help="write the table into the README")
    options = parser.parse_args()
    results = matrix(seed=options.sample, workers=options.workers)
    sys.stdout.write(table(results))
    result = summary(results, options.sample)
    sys.stdout.write(json.dumps(result) + "\n")
    if options.write:
        write(with_part(documents(), "faults", table(results)))
    return int(any(result[name] for name in ("lost", "doubled", "stuck")))


if __name__ == "__main__":
    sys.exit(main())
