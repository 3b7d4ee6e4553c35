"""The pages about refunds: a list with a search, and everything about one of them."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from statemachine.flows import ACTIVE, State, Transition
from worker.console.acting import mark_of
from worker.console.desk import Desk, Visit
from worker.console.desks import Desks
from worker.console.lists import (
    FILTERS,
    SORTS,
    cursor_of,
    given_filters,
    list_all,
    query,
    rows_of,
    selection,
    sort_of,
    with_search,
)
from worker.console.marks import id_of
from worker.console.refusals import Refusal
from worker.operations.dead_letters import find as find_letter
from worker.operations.describing import archived, describe, described_tombstone
from worker.operations.intake_queue import queued_jobs
from worker.refund.reasons import REASONS
from worker.refund.record import Refund

#: Queued jobs that are shown at most.
MOST_QUEUED = 100


def refunds(desks: Desks, visit: Visit) -> Response:
    """List refunds; what is typed into the search may be any id, or text."""
    words = visit.query.one("q")
    told = desks.each(lambda desk: _is_there(desk, words)) if words else {}
    cells = [cell for cell, is_there in told.items() if is_there]
    if len(cells) == 1:
        return visit.go_to(query("/refund", {"id": words}, cell=cells[0]))
    given = with_search(desks, words, given_filters(visit.query))
    if cells:  # two refunds with this id
        given = {**given_filters(visit.query), "refund": words}
    chosen, sort = selection(given), sort_of(visit.query)
    after = cursor_of(visit.query)
    found = list_all(desks, chosen, dead=False, sort=sort, after=after)
    named = words or chosen.refund.rstrip("*") or chosen.order
    return visit.page(
        "refunds.html",
        title="Refunds",
        found=found,
        queued=rows_of(desks.each(lambda desk: _queued(desk, named)))[:MOST_QUEUED],
        given=given,
        words=words,
        sort=sort,
        **choices(),
        next=query("/refunds", given, sort=sort, after=found.page.after),
    )


def choices() -> dict[str, Any]:
    """Return what the fields of the filters offer."""
    lists = {"state": list(State), "transition": list(Transition), "reason_code": sorted(REASONS)}
    return {"filters": FILTERS, "lists": lists, "sorts": SORTS}


def _is_there(desk: Desk, refund_id: str) -> bool:
    return bool(desk.ledger.load(refund_id) or desk.ledger.tombstone(refund_id))


def _queued(desk: Desk, named: str) -> list[dict[str, Any]]:
    if not named:
        return []
    return queued_jobs(desk.broker.client, desk.broker.namespace, named)[:MOST_QUEUED]


def refund(desk: Desk, visit: Visit) -> Response:
    """Show one refund: its amounts, what it waits for, its timeline, and what can be done."""
    refund_id = id_of(desk, visit.query.one("id"))
    known = desk.ledger.load(refund_id)
    if known is not None:
        told = describe(known, desk.ledger.history(refund_id), desk.broker, desk.stores)
        return _page(desk, visit, known, told, "")
    if left := desk.ledger.tombstone(refund_id):
        place, problem = archived(desk.settings.archive, refund_id, left)
        if place is None:
            told = described_tombstone(refund_id, left)
            return visit.page("forgotten.html", title=refund_id, told=told, problem=problem)
        found = place.archived
        told = describe(found.refund, found.history, desk.broker, desk.stores)
        return _page(desk, visit, found.refund, told, str(place.path))
    if letter := find_letter(desk.ledger, desk.broker, refund_id):
        return visit.page(
            "message.html", title=f"Message {refund_id}", cell=desk.cell, letter=letter
        )
    if jobs := _queued(desk, refund_id):
        return visit.page("queued.html", title=refund_id, job=jobs[0])
    raise Refusal(404, "There is no refund, no dead letter and no queued job with this id.")


def _page(
    desk: Desk, visit: Visit, known: Refund, told: dict[str, Any], archived_in: str
) -> Response:
    code = str((told["reason"] or {}).get("reason", ""))
    is_dead = known.state is State.DEAD and not archived_in
    return visit.page(
        "refund.html",
        title=known.refund_id,
        cell=desk.cell,
        refund=known,
        told=told,
        archived_in=archived_in,
        is_dead=is_dead,
        is_active=known.state in ACTIVE and not archived_in,
        is_replayable=is_dead and (code not in REASONS or REASONS[code].replayable),
        code=code,
        hold=mark_of(known.hold),
    )
