"""The figures of the long runs: kept in `figures.json`, shown in the README by `make docs`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

KEPT = Path(__file__).parent / "figures.json"

#: The name of each row, and what it shows.
ROWS: Mapping[str, str] = {
    "chaos": "`make chaos`: everything at once",
    "recovery": "`make recovery`: the only worker is killed in the middle of a step",
    "failover": "`make failover`: replicas lag by a second; two workers, a settle delay of 30 s",
    "scale": "`make scale`: long queues",
    "cells": "`make cells`: a Redis Cluster of 1, 2 and 4 masters, all on one machine",
    "letters": "`make letters`: 100,000 dead letters, two operators, workers that die",
}


def write(name: str, text: str, *, runs: int = 1) -> None:
    """Save the figures of a row, those of its last *runs* runs, the newest last."""
    kept = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    texts = [*kept.get(name, []), text][-runs:]
    KEPT.write_text(json.dumps(kept | {name: texts}, indent=1, sort_keys=True) + "\n")


def figures_table() -> str:
    """Return the rows as Markdown."""
    kept = json.loads(KEPT.read_text())
    rows = [
        f"| {what} | {'<br>'.join(kept[name])} |\n" for name, what in ROWS.items() if name in kept
    ]
    return "| what | figures |\n|---|---|\n" + "".join(rows)
