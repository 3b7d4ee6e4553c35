"""How soon a new worker continues after the only one was killed, with the default settings.

`make recovery`: fifty refunds; the worker of each is killed (SIGKILL) at a named point of a step,
and a new one is started at once. The time is measured from the kill to the next line of the
history. The last line of the output is JSON; the exit code is 1 if more than one in a hundred takes
20 s or longer, or if anything is wrong.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from config.loading import load_settings
from statemachine.flows import ACTIVE
from tests.chaos import child, figures
from tests.chaos.matrix import PLACES
from tests.chaos.scenes import SCENES
from tests.chaos.server import Server
from tests.support.rig import KEY, STORE_ID
from worker.app import ledger_from
from worker.client import enqueue
from worker.refund.request import parse_request
from worker.simulator import Simulator, serve

KILLS = 50
LIMIT_S = 20.0
#: A refund that has not continued so long after the kill is lost.
PATIENCE_S = 90


@dataclass(frozen=True)
class Recovery:
    """One kill."""

    place: str
    scene: str
    carried_on_s: float | None
    """Seconds from the kill to the next line of the history; None if there was none."""
    is_lost: bool
    is_doubled: bool
    has_ended: bool


def kill_and_recover(redis_url: str, seed: int, number: int) -> Recovery:
    """Run one refund in a namespace of its own; its worker is killed, and a new one is started."""
    chance = random.Random(f"{seed}/{number}")  # noqa: S311 - repeatable on purpose
    place, nth = chance.choice(PLACES), chance.choice((1, 2))
    name = chance.choice(sorted(SCENES))
    scene = SCENES[name]
    simulator = Simulator()
    simulator.add_store(STORE_ID, KEY)
    order = scene.stage(simulator)
    with serve(simulator) as wix_url:
        environ = dict(scene.environ) | {
            "REFUNDS_REDIS_URL": redis_url,
            "REFUNDS_NAMESPACE": f"r{uuid.uuid4().hex[:12]}",
            "REFUNDS_WIX_BASE_URL": wix_url,
            "REFUNDS_STORES": json.dumps({STORE_ID: {"account_id": "a", "api_key": KEY}}),
        }
        broker, ledger = ledger_from(load_settings(environ))
        refund_id = f"rf-{number}"
        job = {"refund_id": refund_id, "store_id": STORE_ID, "order_id": order.id}
        enqueue(broker, parse_request(job | dict(scene.job)))
        # A point that changes nothing at Wix may be visited only once: then the first visit counts.
        first = child.start(environ, (place, 1 if place == "before_call" else nth))
        first.join(PATIENCE_S)
        killed = time.monotonic()
        lines = len(ledger.history(refund_id))
        second = child.start(environ)
        carried_on_s = None
        try:
            while time.monotonic() - killed < PATIENCE_S:
                if len(ledger.history(refund_id)) > lines and carried_on_s is None:
                    carried_on_s = time.monotonic() - killed
                refund = ledger.load(refund_id)
                if carried_on_s is not None and refund and refund.state not in ACTIVE:
                    break
                threading.Event().wait(0.05)
            refund = ledger.load(refund_id)
        finally:
            child.end(first)
            child.end(second)
            broker.client.close()
        return Recovery(
            place=place,
            scene=name,
            carried_on_s=carried_on_s,
            is_lost=bool(scene.missing(order)),
            is_doubled=bool(scene.surplus(order)),
            has_ended=bool(refund and refund.state is scene.ends),
        )


def recover(kills: int, seed: int, workers: int) -> list[Recovery]:
    """Run all of them, several at once: they wait more than they work."""
    results = []
    with tempfile.TemporaryDirectory(prefix="refunds-recovery-") as place:
        server = Server(Path(place))
        server.start()
        try:
            with ThreadPoolExecutor(workers) as pool:
                todo = [pool.submit(kill_and_recover, server.url, seed, n) for n in range(kills)]
                for one in todo:
                    results.append(one.result())
                    sys.stderr.write(f"{len(results)} of {kills}: {results[-1]}\n")
        finally:
            server.end()
    return results


def summary(results: list[Recovery], seed: int) -> dict[str, Any]:
    """Return the line of JSON."""
    times = sorted(r.carried_on_s for r in results if r.carried_on_s is not None)
    last = times[min(len(times) - 1, round(0.99 * len(times)))] if times else None
    return {
        "runs": len(results),
        "lost": sum(r.is_lost for r in results),
        "doubled": sum(r.is_doubled for r in results),
        "stuck": sum(r.carried_on_s is None or not r.has_ended for r in results),
        "median_s": round(median(times), 1) if times else None,
        "p99_s": round(last, 1) if last is not None else None,
        "seed": seed,
    }


def main() -> int:
    """Run it; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="make recovery", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--kills", type=int, default=KILLS)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--workers", type=int, default=5, help="kills at once")
    parser.add_argument("--write", action="store_true", help="write the figures into the README")
    options = parser.parse_args()
    result = summary(recover(options.kills, options.seed, options.workers), options.seed)
    sys.stdout.write(json.dumps(result) + "\n")
    wrong = any(result[name] for name in ("lost", "doubled", "stuck"))
    is_slow = result["p99_s"] is None or result["p99_s"] >= LIMIT_S
    if options.write and not wrong:
        figures.write(
            "recovery",
            f"{result['runs']} kills, default settings: a new worker continues after"
            f" {result['median_s']} s (median), {result['p99_s']} s (99 of 100);"
            f" lost {result['lost']}, doubled {result['doubled']},"
            f" stuck {result['stuck']} (seed {result['seed']})",
        )
    return int(wrong or is_slow)


if __name__ == "__main__":
    sys.exit(main())
