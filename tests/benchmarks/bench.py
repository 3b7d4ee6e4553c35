"""Our worker beside the queues that people would use instead, and beside a floor. `make bench`.

All make the same calls to the same stub of Wix, with the same number of processes and threads, and
take turns; a figure is the median of the rounds, a ratio the median of their ratios. The results
are in `results.json` and `results.png`, and the last line of the output has their ratios.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from tests.benchmarks.contenders import PEERS, STORES, Ours, Size, send_one
from tests.benchmarks.fairness import wait_for_outcomes
from tests.benchmarks.parts import PARTS, QUICK, Found, Plan, note
from tests.benchmarks.peers.calls import order_id
from tests.benchmarks.world import ROOT, World, world
from worker.client import RefundClient

#: Where the last results are, and those that the README shows.
LAST, KEPT = ROOT / "results.json", Path(__file__).parent / "results.json"


def calls_of_a_refund(place: World) -> int:
    """Return how many calls our worker makes for one standard refund."""
    place.reset()
    group = Ours().start(place, Size(calls=0))
    try:
        send_one(RefundClient(place.redis_url), STORES[0], order_id(0, 0))
        wait_for_outcomes(place, "refund.finished", 1)
    finally:
        group.end()
    return place.counts()["calls"]


def run(plan: Plan, names: list[str]) -> dict[str, Any]:
    """Run these parts, and return the results."""
    with world() as place:
        size = Size(calls=calls_of_a_refund(place))
    note(f"each refund makes {size.calls} calls")
    results: dict[str, Any] = {
        "ratios": {},
        "figures": {},
        "plan": asdict(plan),
        "size": asdict(size),
        "parts": names,
        "machine": f"{os.cpu_count()} cores, Python {platform.python_version()}",
        "measured_at": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
    }
    for found in _found(plan, size, names):
        results["ratios"] |= found.ratios
        results["figures"] |= found.figures
    for name in ("redis_commands_per_refund", "redis_round_trips_per_refund"):
        if name in results["ratios"]:
            results[name] = results["ratios"].pop(name)
    return results


def _found(plan: Plan, size: Size, names: list[str]) -> Iterator[Found]:
    """Run the parts one after the other, but the quota, which takes long, beside light ones."""
    with ThreadPoolExecutor(1) as pool:
        beside = None
        for name in sorted(names, key=list(PARTS).index):
            note(f"{name} ...")
            if name == "quota":
                beside = pool.submit(PARTS[name], plan, size)
            else:
                yield PARTS[name](plan, size)
        if beside:
            yield beside.result()


def save(results: dict[str, Any], place: Path) -> None:
    """Write the results, and their picture if the peers' environment has matplotlib."""
    place.write_text(json.dumps(results, indent=1) + "\n")
    python = PEERS if PEERS.exists() else sys.executable
    command = [python, "-m", "tests.benchmarks.plot", place, place.with_suffix(".png")]
    subprocess.run(command, cwd=ROOT, check=False)


def main() -> int:
    """Run the benchmark; returns the exit code."""
    parser = argparse.ArgumentParser(prog="make bench", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="two short rounds, on a smaller scale")
    parser.add_argument("--only", action="append", choices=PARTS, help="run this part; repeatable")
    parser.add_argument("--rounds", type=int, help="rounds of each part")
    parser.add_argument("--write", action="store_true", help="keep the results, for the README")
    options = parser.parse_args()
    plan = QUICK if options.quick else Plan()
    plan = replace(plan, rounds=options.rounds) if options.rounds else plan
    results = run(plan, options.only or list(PARTS))
    for place in (LAST, KEPT) if options.write else (LAST,):
        save(results, place)
    sys.stdout.write(json.dumps(results["ratios"]) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
