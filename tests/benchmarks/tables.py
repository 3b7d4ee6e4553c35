"""The results as a table, for tests/README.md."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

KEPT = Path(__file__).parent / "results.json"
PICTURE = KEPT.with_suffix(".png")

#: What each figure is, and against what it was measured.
MEANINGS: Mapping[str, str] = MappingProxyType(
    {
        "throughput_vs_plain_dramatiq": "refunds per second ÷ those of a plain chain"
        " of dramatiq actors, which has no intent, lease, history or outcome",
        "throughput_vs_taskiq": "... ÷ those of a chain of taskiq tasks",
        "throughput_vs_saq": "... ÷ those of a chain of saq jobs",
        "throughput_vs_celery": "... ÷ those of a chain of Celery tasks",
        "throughput_vs_dbos": "... ÷ those of a workflow of DBOS on SQLite",
        "throughput_vs_floor": "... ÷ those of the floor: threads without a queue",
        "cpu_vs_floor": "CPU time of the worker's processes per refund ÷ that of the floor",
        "p50_vs_floor": "median time of a refund ÷ that of the floor, at 20 refunds per second",
        "p99_vs_floor": "the same, of 99 in 100",
        "idle_p50_vs_floor": "the same median at one refund per second",
        "quiet_p95_beside_1": "time of a quiet store's refunds (95 in 100) beside one store"
        " with 10,000 accepted refunds ÷ alone",
        "quiet_p95_beside_5": "... beside 5 stores with 2,000 each",
        "quiet_p95_beside_20": "... beside 20 stores with 500 each",
        "quiet_p95_beside_intake": "... beside 10,000 jobs that are not accepted yet",
        "drain_vs_quota": "calls that Wix answered ÷ its quota of 200 per minute and store;"
        " the smaller one of a fixed and a sliding window",
        "http_429": "calls that Wix refused because of its quota, in both",
        "cpu_at_300k_vs_1k": "CPU time per refund after 300,000 finished refunds ÷ after 1,000",
        "redis_commands_per_refund": "commands of Redis per refund, with those in scripts",
        "redis_round_trips_per_refund": "reads of Redis from its connections per refund",
    }
)


def bench_table() -> str:
    """Return the kept results as Markdown."""
    if not KEPT.exists():
        return "No results of this version are kept yet.\n"
    kept = json.loads(KEPT.read_text())
    found = kept["ratios"] | {name: kept[name] for name in MEANINGS if name in kept}
    rows = [
        f"| `{name}` | {found[name]:g} | {meaning} |\n"
        for name, meaning in MEANINGS.items()
        if name in found
    ]
    table = "| figure | value | what it is |\n|---|---|---|\n" + "".join(rows)
    picture = "![The figures, with the smallest and largest value](benchmarks/results.png)\n"
    measured = f"Measured at {kept['measured_at']} on {kept['machine']}.\n"
    return f"{measured}\n{table}\n{picture}" if PICTURE.exists() else f"{measured}\n{table}"
