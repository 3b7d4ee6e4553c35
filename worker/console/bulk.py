"""Acts on many: a dry run, or a frozen selection that somebody confirms and the workers do."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

from starlette.responses import Response

from worker.console.acting import ACTS, OWN, rule_of
from worker.console.approvals import requested_by_login
from worker.console.desk import Desk, Visit
from worker.console.desks import Desks
from worker.console.lists import given_filters, query, rows_of, selection
from worker.console.marks import ids_of
from worker.console.refusals import Refusal
from worker.console.rendering import id_field
from worker.ledger.audit_log import Operator
from worker.ledger.jobs import Job, Order
from worker.ledger.search import Match
from worker.observability.redaction import redact_text
from worker.operations.acts.dry_run import Foreseen, summary
from worker.operations.acts.foreseeing import foresee_all
from worker.operations.jobs.freezing import DEFAULT_RATE, Frozen, chosen, freeze, results_of
from worker.operations.selection import Selection

#: Letters of one dry run: for each, Wix is asked some questions while the user waits.
MOST_FORESEEN = 25
#: Results of a bulk act that are shown, the latest first.
MOST_RESULTS = 500
#: Bulk acts that are listed.
MOST_JOBS = 100
#: Items per second, as `--rate` takes them.
SLOWEST, FASTEST = 0.01, 1_000
#: The largest canary.
MOST_FIRST = 1_000_000


def choose(desks: Desks, visit: Visit) -> Response:
    """Freeze what is selected; nothing is done until somebody confirms it.

    With cells it becomes a bulk act in each, and they share the rate.
    """
    if visit.form.one("act") == "dry_run":
        return _dry_run(desks, visit)
    name, rule = rule_of(visit)
    wanted = _wanted(desks, visit)
    operator = visit.operator(needs_reason=rule.needs_reason)
    rate, canary = _rate(visit), _canary(visit)
    found = _matches(desks, visit, wanted, name)

    def freeze_in(desk: Desk) -> Frozen | None:
        order = Order(
            act=name,
            arguments=_arguments(visit, name),
            by=operator.by,
            why=operator.why,
            selection=_said(wanted[desk.cell]),
            rate=rate / len(found),
            canary=canary,
        )
        return freeze(desk.jobs, order, found[desk.cell])

    told = desks.each(freeze_in, among=found) if found else {}
    frozen = {cell: one.job_id for cell, one in told.items() if one}
    notes = [f"{problem} Nothing was done there." for problem in desks.problems.values()]
    if not frozen:
        raise Refusal(400, " ".join([*notes, "Nothing matches, so there is nothing to do."]))
    if len(frozen) > 1:
        text = "A bulk act was made in each of the cells {}: confirm each of them"
        return visit.go_to("/jobs", text.format(" and ".join(frozen)), *notes)
    [(cell, job_id)] = frozen.items()
    return visit.go_to(query("/job", {"id": job_id}, cell=cell), *notes)


#: What is selected, by cell.
Wanted = Mapping[str, Selection | Sequence[str]]


def _wanted(desks: Desks, visit: Visit) -> Wanted:
    """Return what is selected: by the filters in each cell, or by the ids of each."""
    cells = desks.cells or ("",)
    if visit.form.one("every") == "yes":
        return dict.fromkeys(cells, selection(given_filters(visit.form)))
    by_cell = {cell: visit.form.all(id_field(cell)) for cell in cells}
    if cell := visit.cell:  # the form of one refund
        by_cell = {desks.of(cell).cell: visit.form.all("id")}
    if not any(by_cell.values()):
        raise Refusal(400, "Select at least one.")
    return {cell: ids for cell, ids in by_cell.items() if ids}


def _matches(
    desks: Desks, visit: Visit, wanted: Wanted, name: str, most: int | None = None
) -> dict[str, list[Match]]:
    """Return what is there of what is selected, by cell; of each at most so many."""

    def look(desk: Desk) -> list[Match]:
        what = wanted[desk.cell]
        messages = set(desk.broker.quarantined())
        what = what if isinstance(what, Selection) else ids_of(desk, what)
        found = list(islice(chosen(desk.search, name, what, messages.__contains__), most))
        ids = [one.refund_id for one in found]
        if name == "approve" and requested_by_login(desk, visit, ids):
            raise Refusal(403, OWN)
        return found

    return {cell: found for cell, found in desks.each(look, among=wanted).items() if found}


def _said(what: Selection | Sequence[str]) -> str:
    return redact_text(str(what)) if isinstance(what, Selection) else f"{len(what)} ids"


def _arguments(visit: Visit, name: str) -> dict[str, Any]:
    if name == "dead.replay":
        return {"manual_done": visit.form.one("manual_done") == "yes"}
    return {"amount": "0"} if name == "dead.resolve" else {}


def _rate(visit: Visit) -> float:
    try:
        given = float(visit.form.one("rate") or DEFAULT_RATE)
    except ValueError:
        given = -1
    if not SLOWEST <= given <= FASTEST:
        raise Refusal(400, f"“rate” takes a number from {SLOWEST} to {FASTEST:,}.")
    return given


def _canary(visit: Visit) -> int:
    """Return how many are done first; a share of all, like 0.4, is refused."""
    given = visit.form.one("canary") or "0"
    if not re.fullmatch("[0-9]{1,7}", given) or int(given) > MOST_FIRST:
        raise Refusal(400, f"“canary” takes a whole number from 0 to {MOST_FIRST:,}.")
    return int(given)


def _dry_run(desks: Desks, visit: Visit) -> Response:
    wanted = _wanted(desks, visit)
    found = _matches(desks, visit, wanted, "dead.replay", MOST_FORESEEN + 1)
    if not 0 < sum(map(len, found.values())) <= MOST_FORESEEN:
        raise Refusal(
            400,
            f"Select 1 to {MOST_FORESEEN} letters for a dry run: Wix is asked about each. For more:"
            " refunds dead replay --dry-run",
        )
    is_paid = visit.form.one("manual_done") == "yes"

    def look(desk: Desk) -> list[Foreseen]:
        ids = [one.refund_id for one in found[desk.cell]]
        return foresee_all(ids, desk.wix, manual_done=is_paid)

    told = desks.each(look, among=found)
    rows = rows_of({cell: [one.public() for one in ones] for cell, ones in told.items()})
    sentences = summary(one for ones in told.values() for one in ones)
    return visit.page("dry_run.html", title="Dry run", rows=rows, sentences=sentences)


def jobs(desks: Desks, visit: Visit) -> Response:
    """List the bulk acts, the newest first."""
    found = rows_of(desks.each(lambda desk: [job.public() for job in desk.jobs.newest(MOST_JOBS)]))
    if desks.cells:
        found.sort(key=lambda job: -job["created_at_ms"])
    return visit.page("jobs.html", title="Bulk acts", jobs=found[:MOST_JOBS])


def job(desk: Desk, visit: Visit) -> Response:
    """Show a bulk act: what it is, how far it is, the result of each item."""
    found = _job(desk, visit.query.one("id"))
    return visit.page(
        "job.html",
        title=f"Bulk act {found.id}",
        cell=desk.cell,
        job=found.public(),
        rows=results_of(desk.jobs, desk.ledger, found, limit=MOST_RESULTS),
        must_type=found.total > desk.settings.bulk_confirm,
        is_own=found.order.by == visit.session.user.name,
        may_act=_may_act(visit, found),
    )


def step_job(desk: Desk, visit: Visit) -> Response:
    """Start, forget, stop or continue a bulk act."""
    found, step = _job(desk, visit.form.one("id")), visit.form.one("step")
    if not _may_act(visit, found):
        raise Refusal(403, "This needs a role that you do not have.")
    if step in {"start", "forget"} and found.order.by != visit.session.user.name:
        raise Refusal(403, "Only who has chosen it can start it: it is done in their name.")
    if step == "forget":
        return _forget(desk, visit, found)
    before: dict[str, Any] = {"state": found.state, "left": found.left}
    after: dict[str, Any] = {}
    if step == "start":
        _check_number(desk, visit, found)
        after = {"act": found.order.act, "selection": found.order.selection}
        before, after = {}, {**after, "total": found.total, **found.amounts}
    elif step not in {"stop", "continue"}:
        raise Refusal(400, "There is no such step.")
    who = Operator(visit.session.user.name, found.order.why)
    act = who.act(f"jobs.{step}", found.id, before, after)
    did, state = desk.jobs.step(found.id, step, act)
    if not state:
        note = f"Refused: {found.id} was forgotten before, and nothing was done"
        return visit.go_to("/jobs", note)
    note = f"{found.id} is {state}" if did else f"Refused: {found.id} is {state}"
    return visit.go_to(query("/job", {"id": found.id}, cell=desk.cell), note)


def _forget(desk: Desk, visit: Visit, found: Job) -> Response:
    if state := desk.jobs.forget(found.id):
        raise Refusal(409, f"It is {state}: stop it instead.")
    return visit.go_to("/jobs", f"{found.id} was not started, and is forgotten")


def _check_number(desk: Desk, visit: Visit, found: Job) -> None:
    typed = visit.form.one("confirm")
    if found.total > desk.settings.bulk_confirm and typed != str(found.total):
        raise Refusal(400, f"Type {found.total} to start it. Nothing was done.")


def _job(desk: Desk, job_id: str) -> Job:
    if (found := desk.jobs.find(job_id)) is None:
        raise Refusal(404, "There is no such bulk act; a selection is forgotten after a day.")
    return found


def _may_act(visit: Visit, found: Job) -> bool:
    rule = ACTS.get(found.order.act)
    return visit.may(rule.role if rule else "act")
