"""Finds what a person selects, for lists and for acts on many, with totals and amounts."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from decimal import Decimal
from typing import Literal

from statemachine.flows import ACTIVE, State
from worker.ledger.search import KINDS, PIECE, Match, Search
from worker.operations.selection import Pool, Selection
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
    search: Search, selection: Selection, pool: Pool, *, newest: bool = True, after: str = ""
) -> Iterator[Match]:
    """Yield what matches in a pool, each refund once; without loading records."""
    seen: set[str] = set()
    tests = _tests(selection, pool)
    for name, ids in _places(search, selection, pool):
        for match in search.matches(
            name,
            tests,
            since_ms=selection.since_ms,
            until_ms=selection.until_ms,
            newest=newest,
            after=after,
            wants_card=pool != "all" or _reads_card(selection),
            ids=ids,
        ):
            over = selection.amount_over
            is_over = over is None or (match.amount and Decimal(match.amount) > over)
            if is_over and match.refund_id not in seen:
                seen.add(match.refund_id)
                yield match


def named(search: Search, ids: Sequence[str]) -> dict[str, Match]:
    """Return those of these refunds that there are, whatever their state."""
    found = (
        search.matches("accepted", {}, wants_card=True, ids=list(piece)) for piece in _pieces(ids)
    )
    return {match.refund_id: match for matches in found for match in matches}


def _places(
    search: Search, selection: Selection, pool: Pool
) -> Iterator[tuple[str, list[str] | None]]:
    """Yield the lists that hold all matches; with ids if only these can match."""
    ids = _ids(search, selection)
    if pool in {"all", "dead"}:
        yield _list(search, selection, dead=pool == "dead"), ids
    elif pool == "unfinished":
        for state in [selection.state] if selection.state in ACTIVE else sorted(ACTIVE):
            yield f"state:{state}", ids
    else:
        # Its own scores are other times; in this list they say when each was accepted.
        for piece in _pieces(search.members(pool) if ids is None else ids):
            yield "accepted", list(piece)


def _pieces(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    return (ids[start : start + PIECE] for start in range(0, len(ids), PIECE))


def page(
    search: Search, selection: Selection, *, dead: bool, sort: Sort, after: str, limit: int | None
) -> Page:
    """Return at most *limit* matches, after a cursor, and the totals."""
    if sort in {"newest", "oldest"} and _is_counted(search, selection, dead=dead):
        return _counted(
            search, selection, dead=dead, newest=sort == "newest", after=after, limit=limit
        )
    pool: Pool = "dead" if dead else "all"
    found = list(find(search, selection, pool, newest=sort != "oldest"))
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
    pool: Pool = "dead" if dead else "all"
    found = list(itertools.islice(find(search, selection, pool, newest=newest, after=after), limit))
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


def _tests(selection: Selection, pool: Pool) -> dict[str, str]:
    names = ("store", "order", "reason", "code", "transition")
    tests = {name: getattr(selection, name) for name in names if getattr(selection, name)}
    if selection.refund.endswith("*"):
        tests["begins"] = selection.refund[:-1]
    elif selection.refund:
        tests["refund"] = selection.refund
    if selection.text:
        tests["text"] = selection.text.lower()
    if selection.state:
        tests["died_in" if pool == "dead" else "state"] = selection.state
    if pool == "dead":
        tests["state"] = State.DEAD.value
    if pool in {"due", "on_hold", "approvals"}:
        tests["member"] = pool
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
