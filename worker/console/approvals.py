"""The page of the refunds that the money guards hold until somebody approves them."""

from __future__ import annotations

from starlette.responses import Response

from worker.console.desk import Desk, Visit
from worker.console.lists import MOST_ROWS, cursor_of, query
from worker.operations import listing
from worker.operations.selection import Selection
from worker.refund.approvals import NEEDS_APPROVAL


def approvals(desk: Desk, visit: Visit) -> Response:
    """List what waits for an approval, the oldest first."""
    found = listing.list_refunds(
        desk.search,
        desk.ledger,
        Selection(reason=NEEDS_APPROVAL),
        dead=False,
        sort="oldest",
        after=cursor_of(visit.query),
        limit=MOST_ROWS,
    )
    return visit.page(
        "approvals.html",
        title="Approvals",
        found=found,
        next=query("/approvals", {"after": found.page.after}),
    )
