"""The page of the refunds that the money guards hold until somebody approves them."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.responses import Response

from worker.console.desk import Desk, Visit
from worker.console.desks import Desks
from worker.console.lists import cursor_of, list_all, query
from worker.operations.selection import Selection
from worker.refund.approvals import NEEDS_APPROVAL, is_requester


def approvals(desks: Desks, visit: Visit) -> Response:
    """List what waits for an approval, the oldest first."""
    chosen = Selection(reason=NEEDS_APPROVAL)
    after = cursor_of(visit.query)
    found = list_all(desks, chosen, dead=False, sort="oldest", after=after)
    return visit.page(
        "approvals.html",
        title="Approvals",
        found=found,
        next=query("/approvals", {"after": found.page.after}),
    )


def requested_by_login(desk: Desk, visit: Visit, ids: Sequence[str]) -> list[str]:
    """Return which of these refunds somebody requested under the login, and so must not approve.

    The act itself only knows the name.
    """
    login = visit.session.user.login
    if not login:
        return []
    found = desk.ledger.load_all(ids)
    return [r.refund_id for r in found if is_requester(login, r.request.requested_by)]
