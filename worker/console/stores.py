"""The pages about stores: their state, their lanes, pauses, and a check of the key with Wix."""

from __future__ import annotations

from starlette.responses import Response

from worker.console.desk import Desk, Visit
from worker.console.lists import query
from worker.console.refusals import Refusal
from worker.ledger.acts import ALL_STORES
from worker.ledger.audit_log import Operator
from worker.ledger.stores import StoreRecord
from worker.operations.acts import stores as acting
from worker.operations.acts.refusals import CannotAct
from worker.stores import connecting

#: Stores of a page.
MOST_STORES = 100
_REASON_NEEDED = {"pause", "pause_all"}


def stores(desk: Desk, visit: Visit) -> Response:
    """List the stores."""
    ids, number = acting.all_ids(desk.stores, desk.wix.keyring), visit.query.one("page", "1")
    page = int(number) if number.isascii() and number.isdecimal() and len(number) < 7 else 1
    start = (max(1, page) - 1) * MOST_STORES
    rows = [desk.stores.find(store_id).public() for store_id in ids[start : start + MOST_STORES]]
    return visit.page(
        "stores.html",
        title="Stores",
        rows=rows,
        total=len(ids),
        pause=desk.acts.pauses().get(ALL_STORES),
        next=f"/stores?page={page + 1}" if start + len(rows) < len(ids) else "",
    )


def store(desk: Desk, visit: Visit) -> Response:
    """Show one store."""
    found, pauses = _known(desk, visit.query.one("id")), desk.acts.pauses()
    return visit.page(
        "store.html",
        title=str(found.profile.get("name") or found.store_id),
        store=found.public(),
        is_paused=found.store_id in pauses,
        all_paused=ALL_STORES in pauses,
    )


def act_on_store(desk: Desk, visit: Visit) -> Response:
    """Pause or resume a store, or all of them, or ask Wix about the store's key."""
    act = visit.form.one("act")
    who = visit.operator(needs_reason=act in _REASON_NEEDED)
    if act in {"pause_all", "resume_all"}:
        return visit.go_to("/stores", _pause_or_resume(desk, act, ALL_STORES, who))
    found = _known(desk, visit.form.one("id"))
    if act not in {"check", "pause", "resume"}:
        raise Refusal(400, "There is no such act.")
    if act == "check":
        note = _check(desk, found.store_id)
    else:
        note = _pause_or_resume(desk, act, found.store_id, who)
    return visit.go_to(query("/store", {"id": found.store_id}), note)


def _pause_or_resume(desk: Desk, act: str, store_id: str, who: Operator) -> str:
    subject = "All stores" if store_id == ALL_STORES else store_id
    if act.startswith("pause"):
        try:
            acting.pause(desk.acts, store_id, operator=who)
        except CannotAct as refusal:
            return f"Refused: {subject} {refusal}"
        return f"{subject}: paused"
    if store_id == ALL_STORES:
        did = acting.unpause(desk.acts, store_id, operator=who)
    else:
        did = acting.resume(desk.acts, desk.stores, store_id, operator=who)
    return f"{subject}: resumed" if did else f"Refused: {subject}: neither suspended nor paused"


def _check(desk: Desk, store_id: str) -> str:
    """Ask Wix about the key; what was found is kept, and the page shows it."""
    try:
        findings = connecting.check(
            store_id, keyring=desk.wix.keyring, stores=desk.stores, examiner=desk.examiner
        )
    except connecting.CannotDo as refusal:
        return str(refusal)
    return str(findings.public()["sentence"])


def _known(desk: Desk, given: str) -> StoreRecord:
    store_id = given.lower()
    found = desk.stores.find(store_id)
    if not acting.is_known(found, desk.wix.keyring):
        raise Refusal(404, "There is no such store.")
    return found
