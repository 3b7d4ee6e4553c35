"""The page of the audit log: who did what, when and why."""

from __future__ import annotations

from collections.abc import Mapping
from heapq import merge
from itertools import islice
from typing import Any

from starlette.responses import Response

from worker.console.desk import Desk, Visit
from worker.console.desks import Desks
from worker.console.refusals import Refusal
from worker.operations.filters import BadFilter, moment_ms

#: Entries of a page.
MOST_ENTRIES = 200


def audit_log(desks: Desks, visit: Visit) -> Response:
    """List the newest entries, the newest first; on demand, check the whole chain."""
    since = visit.query.one("since")
    try:
        since_ms = moment_ms(since)
    except BadFilter as bad:
        raise Refusal(400, f"“Since” takes {bad.takes}.") from None
    # Not again with each update of the page: that reads the whole log.
    is_verified = visit.query.one("verify") == "yes" and not visit.is_live
    told = desks.each(lambda desk: _entries(desk, since_ms))
    counts = desks.each(lambda desk: desk.ledger.audit_log.count())
    verified = desks.each(lambda desk: desk.ledger.audit_log.verify()) if is_verified else {}
    return visit.page(
        "audit_log.html",
        title="Audit log",
        entries=_joined(told),
        count=sum(counts.values()),
        since=since,
        verified=verified,
    )


#: The fields of an entry, and when it was made; a damaged one counts as made after the one before.
Entry = tuple[int, dict[str, Any]]


def _entries(desk: Desk, since_ms: int) -> list[Entry]:
    """Return the newest entries of one log, the newest first."""
    found, last_ms = list[Entry](), 0
    for entry in desk.ledger.audit_log.newest(MOST_ENTRIES, since_ms=since_ms):
        fields = entry.fields()
        at_ms = fields.get("at_ms")
        last_ms = at_ms if isinstance(at_ms, int) else last_ms
        found.append((last_ms, {**fields, "cell": desk.cell}))
    return found[::-1]


def _joined(told: Mapping[str, list[Entry]]) -> list[dict[str, Any]]:
    """Return the newest entries of all logs; those of one stay in the order of its chain."""
    in_order = merge(*told.values(), key=lambda entry: entry[0], reverse=True)
    return [fields for _, fields in islice(in_order, MOST_ENTRIES)]
