"""What cells cost and what they take from each master of a Redis Cluster. `make cells`.

The same refunds run through one ledger on one master, and through two and four cells on two and
four masters, of which the first one also has the front. Everything is on one machine, so what
counts is not how long it takes, but the commands and the CPU time of each master per refund. The
last line of the output is JSON.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from redis.crc import key_slot

from tests.benchmarks.contenders import Ours, Size
from tests.benchmarks.world import World, world
from tests.chaos import figures
from tests.support.servers import Cluster, Node, cluster
from worker.cells.names import FRONT, all_cells, namespace_of

NAMESPACE = "refunds"
MASTERS = (1, 2, 4)
WARM_UP, REFUNDS = 200, 4_000
#: How long the masters may still work for refunds that are finished at Wix, s.
REST_S = 1.0


def place_cells(found: Cluster, count: int) -> None:
    """Give each cell a master of its own, and the front the first one."""
    for cell in all_cells(count):
        to = found.nodes[0 if cell == FRONT else int(cell)]
        slot = key_slot(f"{{{namespace_of(NAMESPACE, cell)}}}".encode())
        if found.holder(slot) is not to:
            found.move(slot, to=to)


def load_of(node: Node) -> dict[str, float]:
    """Return the commands and the CPU time of a master so far."""
    stats, cpu = node.client.info("commandstats"), node.client.info("cpu")
    # The figures of the cluster's own messages are in none of the two.
    return {
        "commands": sum(one["calls"] for one in stats.values()),
        "cpu_s": cpu["used_cpu_user"] + cpu["used_cpu_sys"],
    }


def measure(made: World, masters: int, count: int) -> dict[str, Any]:
    """Return what each master did per refund."""
    with (
        tempfile.TemporaryDirectory(prefix="refunds-cells-") as folder,
        cluster(Path(folder), masters) as found,
    ):
        place_cells(found, masters)
        made.redis_url = found.url
        return _measure(made, found.nodes, masters, count)


def _measure(made: World, nodes: Sequence[Node], masters: int, count: int) -> dict[str, Any]:
    size = Size(calls=4, processes=max(2, masters + 1))
    ours = Ours({"REFUNDS_CELLS": str(masters)})
    made.set_stub(after=size.after)
    group = ours.start(made, size)
    try:
        ours.send(made, group, 1, WARM_UP)
        made.wait_for(WARM_UP, group=group)
        threading.Event().wait(REST_S)
        group.signal(signal.SIGSTOP)
        before = [load_of(node) for node in nodes]
        ours.send(made, group, 2, count)
        group.signal(signal.SIGCONT)
        made.wait_for(WARM_UP + count, group=group)
        threading.Event().wait(REST_S)
        after = [load_of(node) for node in nodes]
        doubled = made.counts().get("refunded twice", 0)
    finally:
        group.end()
    spent = [
        {name: (late[name] - early[name]) / count for name in late}
        for early, late in zip(before, after, strict=True)
    ]
    return {
        "masters": masters,
        "commands": [round(one["commands"], 1) for one in spent],
        "cpu_us": [round(one["cpu_s"] * 1e6) for one in spent],
        "doubled": doubled,
    }


def sentence(found: Sequence[dict[str, Any]]) -> str:
    """Return the figures for the README."""
    parts = []
    for one in found:
        each = ", ".join(f"{n:.0f}" for n in one["commands"])
        cpu = ", ".join(map(str, one["cpu_us"]))
        most = round(1e6 / max(one["cpu_us"]))
        masters = f"{one['masters']} masters" if one["masters"] > 1 else "one master"
        parts.append(
            f"{masters}: {sum(one['commands']):.0f} commands per refund ({each}) and"
            f" {sum(one['cpu_us'])} µs of CPU time ({cpu}), so the busiest master is full at"
            f" {most:,} refunds/s"
        )
    return "; ".join(parts)


def main(arguments: list[str]) -> int:
    """Print the table and the JSON; the exit code is 1 if a refund was made twice."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--refunds", type=int, default=REFUNDS)
    parser.add_argument("--write", action="store_true", help="write the figures into the README")
    given = parser.parse_args(arguments)
    with world() as made:
        found = [measure(made, masters, given.refunds) for masters in MASTERS]
    sys.stdout.write(sentence(found).replace("; ", "\n") + "\n")
    if given.write:
        figures.write("cells", sentence(found))
    sys.stdout.write(json.dumps(found) + "\n")
    return int(any(one["doubled"] for one in found))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
