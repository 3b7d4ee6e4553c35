"""The page of the audit log: who did what, when and why."""

from __future__ import annotations

from starlette.responses import Response

from worker.console.desk import Desk, Visit
from worker.console.refusals import Refusal
from worker.operations.filters import BadFilter, moment_ms

#: Entries of a page.
MOST_ENTRIES = 200


def audit_log(desk: Desk, visit: Visit) -> Response:
    """List the newest entries, the newest first; on demand, check the whole chain."""
    since, log = visit.query.one("since"), desk.ledger.audit_log
    try:
        since_ms = moment_ms(since)
    except BadFilter as bad:
        raise Refusal(400, f"“Since” takes {bad.takes}.") from None
    # Not again with each update of the page: that reads the whole log.
    is_verified = visit.query.one("verify") == "yes" and not visit.is_live
    entries = [entry.fields() for entry in log.newest(MOST_ENTRIES, since_ms=since_ms)]
    return visit.page(
        "audit_log.html",
        title="Audit log",
        entries=entries[::-1],
        count=log.count(),
        since=since,
        verified=log.verify() if is_verified else None,
    )
