"""`refunds dead replay --dry-run`: what Wix says now, in money."""

from __future__ import annotations

from collections.abc import Iterable

import typer

from worker.cli.common import named
from worker.cli.output import print_json, print_line, print_table
from worker.cli.progress import progress
from worker.cli.store_desk import open_wix_desk
from worker.operations.acts.dry_run import Foreseen, summary
from worker.operations.acts.foreseeing import foresee_all

#: With more rows than this, a table would hide the summary.
MOST_ROWS = 30


def print_foreseen(ids: Iterable[str], *, manual_done: bool, not_done: bool, as_json: bool) -> None:
    """Say what a replay of these letters would do; the exit code is 1 if one cannot be replayed."""
    wanted = list(dict.fromkeys(ids))
    with progress("asking Wix", len(wanted)) as advance:
        found = foresee_all(
            wanted,
            open_wix_desk(),
            manual_done=manual_done,
            not_done=not_done,
            shown=named,
            advance=advance,
        )
    _print(found, as_json=as_json)
    if any(one.kind in {"cannot", "unasked"} for one in found):
        raise typer.Exit(1)


def _print(found: list[Foreseen], *, as_json: bool) -> None:
    sentences = summary(found)
    if as_json:
        print_json({"dry_run": [one.public() for one in found], "summary": sentences})
        return
    if len(found) <= MOST_ROWS:
        rows = [one.public() for one in found]
        columns = ("id", "result", "amount", "currency", "detail")
        held = any(one.approval for one in found)
        print_table(rows, (*columns, "needs_approval") if held else columns)
        print_line()
    for sentence in sentences:
        print_line(sentence)
