"""The pages about stores: their state, their lanes, pauses, and a check of the key with Wix."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from worker.console.desk import Desk, Visit
from worker.console.desks import Desks, naming
from worker.console.lists import query, rows_of
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


def stores(desks: Desks, visit: Visit) -> Response:
    """List the stores."""
    ids, number = _all_ids(desks), visit.query.one("page", "1")
    page = int(number) if number.isascii() and number.isdecimal() and len(number) < 7 else 1
    start = (max(1, page) - 1) * MOST_STORES
    shown = dict(list(ids.items())[start : start + MOST_STORES])
    pauses = desks.each(lambda desk: desk.acts.pauses().get(ALL_STORES))
    return visit.page(
        "stores.html",
        title="Stores",
        rows=_rows(desks, shown),
        total=len(ids),
        pauses=pauses,
        is_paused=any(pauses.values()),
        is_all_paused=all(pauses.values()),
        next=f"/stores?page={page + 1}" if start + len(shown) < len(ids) else "",
    )


def _all_ids(desks: Desks) -> dict[str, str]:
    """Return the stores of the vaults with their cells, then those of REFUNDS_STORES."""
    told = desks.each(lambda desk: desk.stores.ids())
    ids = {store_id: cell for cell, found in told.items() for store_id in found}
    given = desks.first.wix.keyring.given
    return ids | {store_id: "" for store_id in given if store_id not in ids}


def _rows(desks: Desks, shown: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return the rows of these stores; the directory knows the cells of those without one."""
    by_cell, left_out = dict[str, list[str]](), dict[str, list[str]]()
    for store_id, cell in shown.items():
        try:
            home = cell or desks.with_store(store_id).cell
        except Refusal as refusal:
            left_out.setdefault(refusal.text, []).append(store_id)
        else:
            by_cell.setdefault(home, []).append(store_id)
    for text, ids in left_out.items():
        desks.problems[text] = f"{len(ids)} stores are not shown, such as {ids[0]}. {text}"

    def look(desk: Desk) -> list[dict[str, Any]]:
        return [desk.stores.find(store_id).public() for store_id in by_cell.get(desk.cell, ())]

    return rows_of(desks.each(look))


def store(desk: Desk, visit: Visit) -> Response:
    """Show one store."""
    found, pauses = _known(desk, visit.query.one("id")), desk.acts.pauses()
    return visit.page(
        "store.html",
        title=str(found.profile.get("name") or found.store_id),
        cell=desk.cell,
        store=found.public(),
        is_paused=found.store_id in pauses,
        all_paused=ALL_STORES in pauses,
    )


def act_on_store(desks: Desks, visit: Visit) -> Response:
    """Pause or resume a store, or all of them, or ask Wix about the store's key."""
    act = visit.form.one("act")
    who = visit.operator(needs_reason=act in _REASON_NEEDED)
    if act in {"pause_all", "resume_all"}:
        return visit.go_to("/stores", *_act_on_all(desks, act, who))
    desk = desks.with_store(visit.form.one("id").lower(), settles=act == "pause")
    with naming(desk):
        return _act_on_one(desk, visit, act, who)


def _act_on_all(desks: Desks, act: str, who: Operator) -> list[str]:
    """Pause or resume each cell, also one that was away: a pause must reach as many as possible."""

    def one(desk: Desk) -> str:
        return _pause_or_resume(desk, act, ALL_STORES, who)

    told = desks.each(one, is_act=True)
    notes = [f"Cell {cell}: {note}" if cell else note for cell, note in told.items()]
    return [*notes, *desks.problems.values()]


def _act_on_one(desk: Desk, visit: Visit, act: str, who: Operator) -> Response:
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
