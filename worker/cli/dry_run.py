"""`refunds dead replay --dry-run`: what Wix says now, in money."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

import typer

from statemachine.flows import State
from worker.cli.common import named
from worker.cli.output import print_json, print_line, print_table
from worker.cli.progress import progress
from worker.cli.store_desk import open_wix_desk
from worker.operations.acts.dry_run import Foreseen, foresee, summary
from worker.operations.acts.wix_desk import WixDesk

#: How many letters are looked at at the same time.
AT_ONCE = 4
#: With more rows than this, a table would hide the summary.
MOST_ROWS = 30


def print_foreseen(ids: Iterable[str], *, manual_done: bool, not_done: bool, as_json: bool) -> None:
    """Say what a replay of these letters would do; the exit code is 1 if one cannot be replayed."""
    desk = open_wix_desk()
    known = {refund.refund_id: refund for refund in desk.ledger.load_pages(ids)}
    now_ms = desk.ledger.now_ms()

    def look(letter_id: str) -> Foreseen:
        refund = known.get(letter_id)
        if refund is None or refund.state is not State.DEAD:
            return Foreseen(named(letter_id), "cannot", "not the dead letter of a refund")
        return foresee(refund, desk, now_ms, manual_done=manual_done, not_done=not_done)

    wanted = list(dict.fromkeys(ids))
    with progress("asking Wix", len(wanted)) as advance:
        found = list(_all(wanted, look, advance, desk))
    _print(found, as_json=as_json)
    if any(one.kind in {"cannot", "unasked"} for one in found):
        raise typer.Exit(1)


def _all(
    ids: list[str], look: Callable[[str], Foreseen], advance: Callable[[int], None], desk: WixDesk
) -> Iterator[Foreseen]:
    """Look at some at the same time; each thread has connections of its own."""
    with ThreadPoolExecutor(AT_ONCE) as threads:
        for found in threads.map(look, ids):
            advance(1)
            yield found
        for _ in range(AT_ONCE):
            threads.submit(desk.wix.close)


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
