"""Freeze what a bulk act is to be done to, and show what became of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from worker.ledger.jobs import Job, Jobs, Order
from worker.ledger.records import Records
from worker.ledger.search import Match, Search
from worker.operations.durations import amounts
from worker.operations.jobs.table import BULK
from worker.operations.listing import letter_ids
from worker.operations.searching import find, named, totals
from worker.operations.selection import Selection

#: Items per second, if nothing else is said.
DEFAULT_RATE = 10.0


@dataclass(frozen=True)
class Frozen:
    """A selection that is kept in the ledger, and that nobody has confirmed yet."""

    job_id: str
    count: int
    sums: dict[str, str]
    """By currency."""
    unknown: int
    """How many of them have no known amount."""


def chosen(
    search: Search,
    act: str,
    what: Selection | Sequence[str],
    is_message: Callable[[str], bool],
) -> Iterator[Match]:
    """Yield what is selected, or named by its ids, as the lists show it; the oldest first."""
    if isinstance(what, Selection):
        pool = BULK[act].pool
        yield from find(search, what, pool, newest=False)
        if pool == "dead":
            yield from map(_message, letter_ids(search, what))
        return
    # What is not known is refused when its turn comes, so that each id has a result.
    known = named(search, what)
    for each in what:
        yield known[each] if each in known and not is_message(each) else _message(each)


def freeze(jobs: Jobs, order: Order, matches: Iterable[Match]) -> Frozen | None:
    """Keep a selection for the workers; None if there is nothing in it."""
    found = list(matches)
    if not found:
        return None
    job_id = jobs.freeze(order, ((one.refund_id, _kept(one)) for one in found))
    sums, unknown = totals(found)
    jobs.set_amounts(job_id, {"sums": sums, "unknown": unknown})
    return Frozen(job_id, len(found), sums, unknown)


def amounts_text(sums: Mapping[str, str], unknown: int) -> str:
    """Return what is at stake, for people."""
    known = [amounts(sums)] if sums else []
    return " and ".join([*known, *([f"{unknown} of unknown amount"] if unknown else [])])


def results_of(jobs: Jobs, records: Records, job: Job, *, limit: int) -> list[dict[str, Any]]:
    """Return the items that have a result, the latest first, with the present state of each."""
    done = [(i, item) for i, item in jobs.items(job.id) if "result" in item]
    done.sort(key=lambda pair: int(pair[1]["at_ms"]), reverse=True)
    shown = done[:limit]
    states = {r.refund_id: r.state.value for r in records.load_all([i for i, _ in shown])}
    return [{"id": i, "now": states.get(i), **item} for i, item in shown]


def _message(message_id: str) -> Match:
    """Return what is no refund, and so has neither an amount nor a version."""
    return Match(message_id, 0, "", "", "")


def _kept(one: Match) -> dict[str, Any]:
    return {
        "version": one.version,
        "amount": one.amount or None,
        "currency": one.currency or None,
    }
