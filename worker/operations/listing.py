"""What `refunds list` and `refunds dead list` show: rows, totals, groups."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from worker.ledger.records import Records
from worker.ledger.search import Match, Search
from worker.operations.searching import Page, Sort, find, page
from worker.operations.selection import Selection
from worker.operations.tallies import Group, groups_of
from worker.refund.reasons import REASONS
from worker.refund.record import Refund
from worker.refund.stakes import stake_of


@dataclass(frozen=True, kw_only=True)
class Listing:
    """One page of a list."""

    rows: list[dict[str, Any]]
    page: Page

    def totals(self) -> dict[str, Any]:
        """Return how much there is in all, for JSON."""
        return {
            "total": self.page.total,
            "amounts": self.page.amounts,
            "amount_unknown": self.page.unknown if self.page.amounts is not None else None,
            "after": self.page.after or None,
        }


def list_refunds(
    search: Search,
    records: Records,
    selection: Selection,
    *,
    dead: bool,
    sort: Sort,
    after: str,
    limit: int | None,
) -> Listing:
    """Return one page of refunds, or with *dead* of dead letters."""
    found = page(search, selection, dead=dead, sort=sort, after=after, limit=limit)
    refunds = {r.refund_id: r for r in records.load_all([m.refund_id for m in found.matches])}
    rows = [
        (dead_row if dead else refund_row)(refunds[match.refund_id], match)
        for match in found.matches
        if match.refund_id in refunds
    ]
    return Listing(rows=rows, page=found)


def refund_row(refund: Refund, _: Match) -> dict[str, Any]:
    """Return a refund for a list; programs know the fields of `Refund.public`."""
    stake = stake_of(refund)
    asked = refund.approval if refund.needs_approval else {}
    return refund.public() | {
        "amount": asked.get("amount") or stake.amount or None,
        "currency": stake.currency or None,
        "requested_by": refund.request.requested_by or None,
    }


def dead_row(refund: Refund, match: Match | None = None) -> dict[str, Any]:
    """Return a dead letter for a list."""
    stake = stake_of(refund)
    return {
        "id": refund.refund_id,
        "kind": "refund",
        "refund_id": refund.refund_id,
        "store_id": refund.request.store_id,
        "order_id": refund.request.order_id,
        "amount": stake.amount or None,
        "currency": stake.currency or None,
        "died_in": refund.died_in,
        "died_at_ms": match.at_ms if match else refund.updated_at_ms,
        "attempts": refund.attempts,
        **refund.reason,
    }


def groups(search: Search, selection: Selection, kind: str) -> list[dict[str, Any]]:
    """Return the dead letters that are selected by kind, the largest group first."""
    if selection.is_empty and search.is_complete():
        found = groups_of(search.groups(kind))
        ends = {group.name: search.ends(f"dead_by:{kind}:{group.name}") for group in found}
    else:
        found, ends = _grouped(search, selection, kind)
    return [_group(group, ends[group.name], kind) for group in found]


Ends = tuple[Match | None, Match | None]


def _grouped(
    search: Search, selection: Selection, kind: str
) -> tuple[list[Group], dict[str, Ends]]:
    members: dict[str, list[Match]] = {}
    matches = list(find(search, selection, "dead"))
    values = search.cards([match.refund_id for match in matches], kind)
    for match in matches:
        members.setdefault(values[match.refund_id], []).append(match)
    found = [Group.of(name, ((m.amount, m.currency) for m in ms)) for name, ms in members.items()]
    ends: dict[str, Ends] = {name: (each[-1], each[0]) for name, each in members.items()}
    return sorted(found, key=lambda group: (-group.count, group.name)), ends


def _group(group: Group, ends: Ends, kind: str) -> dict[str, Any]:
    oldest, newest = ends
    told = group.public(kind) | {
        "oldest_at_ms": oldest.at_ms if oldest else None,
        "newest_at_ms": newest.at_ms if newest else None,
        "example": newest.refund_id if newest else None,
    }
    if kind == "reason" and group.name in REASONS:
        known = REASONS[group.name]
        told |= {"sentence": known.meaning, "remedy": known.remedy, "replayable": known.replayable}
    return told


def letter_rows(
    letters: Iterable[tuple[str, Mapping[str, Any]]], selection: Selection
) -> list[dict[str, Any]]:
    """Return the letters of messages that are selected, newest first."""
    found = [_letter_row(letter_id, letter) for letter_id, letter in letters]
    wanted = [row for row in found if _is_selected(row, selection)]
    return sorted(wanted, key=lambda row: (-(row["died_at_ms"] or 0), row["id"]))


def letter_ids(search: Search, selection: Selection) -> list[str]:
    """Return the ids of the letters of messages that are selected."""
    return [row["id"] for row in letter_rows(search.letters(), selection)]


def _letter_row(letter_id: str, letter: Mapping[str, Any]) -> dict[str, Any]:
    known = REASONS.get(letter["reason"], REASONS["worker_error"])
    return {
        "id": letter_id,
        "kind": "message",
        "refund_id": letter["refund_id"] or None,
        "store_id": letter["store_id"] or None,
        "order_id": letter["order_id"] or None,
        "died_at_ms": round(letter["at_ms"]) or None,
        "reason": letter["reason"],
        "sentence": known.meaning,
        "remedy": known.remedy,
        "problems": letter.get("problems"),
    }


def _is_selected(row: Mapping[str, Any], selection: Selection) -> bool:
    """Whether a letter matches; it has no amount, no state and no code of Wix."""
    if (
        selection.code
        or selection.state
        or selection.transition
        or selection.amount_over is not None
    ):
        return False
    refund, begins = selection.refund.rstrip("*"), selection.refund.endswith("*")
    ids = {str(row["id"]), str(row["refund_id"])}
    at_ms, text = row["died_at_ms"] or 0, " ".join(map(str, row.values())).lower()
    return (
        (not selection.store or row["store_id"] == selection.store)
        and (not selection.order or row["order_id"] == selection.order)
        and (not selection.reason or row["reason"] == selection.reason)
        and (not refund or (any(i.startswith(refund) for i in ids) if begins else refund in ids))
        and at_ms >= selection.since_ms
        and (not selection.until_ms or at_ms <= selection.until_ms)
        and selection.text.lower() in text
    )
