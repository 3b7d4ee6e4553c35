"""Finds what an operator selects, with totals and amounts."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from decimal import Decimal
from typing import Literal

from statemachine.flows import State
from worker.ledger.search import KINDS, Match, Search
from worker.operations.selection import Selection
from worker.operations.tallies import groups_of
from worker.refund.approvals import NEEDS_APPROVAL

Sort = Literal["newest", "oldest", "amount", "store"]


@dataclass(frozen=True, kw_only=True)
class Page:
    """A part of what matches, and how much there is in all."""

    matches: list[Match]
    total: int
    amounts: dict[str, str] | None
    """The sum of all that matches by currency; None if it was not added up."""
    unknown: int
    """How many of all have no known amount."""
    after: str
    """The cursor of the next page, "" at the end."""


def find(
    search: Search, selection: Selection, *, dead: bool, newest: bool = True, after: str = ""
) -> Iterator[Match]:
    """Yield each refund, or with *dead* each dead letter, that matches; without loading records."""
    ids = _ids(search, selection)
    for match in search.matches(
        _list(search, selection, dead=dead),
        _tests(selection, dead=dead),
        since_ms=selection.since_ms,
        until_ms=selection.until_ms,
        newest=newest,
        after=after,
        wants_card=dead or _reads_card(selection),
        ids=ids,
    ):
        over = selection.amount_over
        if over is None or (match.amount and Decimal(match.amount) > over):
            yield match


def page(
    search: Search, selection: Selection, *, dead: bool, sort: Sort, after: str, limit: int | None
) -> Page:
    """Return at most *limit* matches, after a cursor, and the totals."""
    if sort in {"newest", "oldest"} and _is_counted(search, selection, dead=dead):
        return _counted(
            search, selection, dead=dead, newest=sort == "newest", after=after, limit=limit
        )
    found = list(find(search, selection, dead=dead, newest=sort != "oldest"))
    if sort == "amount":
        found.sort(key=lambda match: Decimal(match.amount or 0), reverse=True)
    if sort == "store":
        ids = [match.refund_id for match in found]
        stores = search.cards(ids, "store") if dead else search.stores_of(ids)
        found.sort(key=lambda match: stores[match.refund_id])
    cursors = [match.cursor for match in found]
    start = cursors.index(after) + 1 if after in cursors else 0
    if after and not start:
        start = _place(found, after, newest=sort != "oldest")
    shown = found[start : start + limit] if limit else found[start:]
    has_more = start + len(shown) < len(found)
    sums, unknown = totals(found) if dead else ({}, 0)
    return Page(
        matches=shown,
        total=len(found),
        amounts=sums if dead else None,
        unknown=unknown,
        after=shown[-1].cursor if has_more else "",
    )


def totals(matches: Iterable[Match]) -> tuple[dict[str, str], int]:
    """Return the sums by currency, and how many have no known amount."""
    sums: dict[str, Decimal] = {}
    unknown = 0
    for match in matches:
        if match.amount:
            sums[match.currency] = sums.get(match.currency, Decimal(0)) + Decimal(match.amount)
        else:
            unknown += 1
    return {currency: f"{amount:f}" for currency, amount in sorted(sums.items())}, unknown


def _counted(
    search: Search, selection: Selection, *, dead: bool, newest: bool, after: str, limit: int | None
) -> Page:
    """Return a page of one whole list, whose size and sums the ledger knows."""
    name = _list(search, selection, dead=dead)
    found = list(
        itertools.islice(find(search, selection, dead=dead, newest=newest, after=after), limit)
    )
    total = search.count(name, since_ms=selection.since_ms, until_ms=selection.until_ms)
    sums, unknown = _sums(search, selection) if dead else (None, 0)
    is_whole = limit is None or len(found) < limit
    return Page(
        matches=found,
        total=total,
        amounts=sums,
        unknown=unknown,
        after="" if is_whole or total <= len(found) else found[-1].cursor,
    )


def _sums(search: Search, selection: Selection) -> tuple[dict[str, str], int]:
    kind = next((kind for kind in KINDS if getattr(selection, kind)), "reason")
    wanted = getattr(selection, kind)
    groups = [g for g in groups_of(search.groups(kind)) if not wanted or g.name == wanted]
    sums: dict[str, Decimal] = {}
    for group in groups:
        for currency, amount in group.amounts.items():
            sums[currency] = sums.get(currency, Decimal(0)) + amount
    return {c: f"{a:f}" for c, a in sorted(sums.items())}, sum(g.unknown for g in groups)


def _ids(search: Search, selection: Selection) -> list[str] | None:
    """Return the only refunds that can match, if the selection names them; None for any."""
    if selection.order:
        return search.of_order(selection.order)
    if selection.refund and not selection.refund.endswith("*"):
        return [selection.refund]
    return None


def _list(search: Search, selection: Selection, *, dead: bool) -> str:
    """Return the shortest list that holds all matches."""
    if not dead:
        if selection.reason == NEEDS_APPROVAL:
            return "approvals"
        lists = [f"state:{selection.state}"] if selection.state else []
        if selection.store and search.is_complete():
            lists.append(f"of_store:{selection.store}")
        return search.smallest(lists) if lists else "accepted"
    given = [
        f"dead_by:{kind}:{getattr(selection, kind)}" for kind in KINDS if getattr(selection, kind)
    ]
    return search.smallest(given) if given and search.is_complete() else "dead"


def _tests(selection: Selection, *, dead: bool) -> dict[str, str]:
    names = ("store", "order", "reason", "code", "transition")
    tests = {name: getattr(selection, name) for name in names if getattr(selection, name)}
    if selection.refund.endswith("*"):
        tests["begins"] = selection.refund[:-1]
    elif selection.refund:
        tests["refund"] = selection.refund
    if selection.text:
        tests["text"] = selection.text.lower()
    if selection.state:
        tests["died_in" if dead else "state"] = selection.state
    if dead:
        tests["state"] = State.DEAD.value
    return tests


def _reads_card(selection: Selection) -> bool:
    read = (selection.reason, selection.code, selection.transition, selection.text)
    return any(read) or selection.amount_over is not None


def _is_counted(search: Search, selection: Selection, *, dead: bool) -> bool:
    """Whether all of one list is wanted, so that nothing has to be looked at to count it."""
    given = {f.name for f in fields(selection) if getattr(selection, f.name) not in ("", 0, None)}
    if not dead:
        kinds = given - {"since_ms", "until_ms"}
        return kinds <= {"state"} or (kinds == {"store"} and search.is_complete())
    return len(given) <= 1 and given <= set(KINDS) and search.is_complete()


def _place(found: list[Match], after: str, *, newest: bool) -> int:
    """Return where a list continues after a cursor whose refund is gone."""
    score = int(after.partition(":")[0])
    places = [int(match.cursor.partition(":")[0]) for match in found]
    return sum(place >= score if newest else place <= score for place in places)
