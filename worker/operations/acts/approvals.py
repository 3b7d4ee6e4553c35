"""What people do to a refund that waits for an approval: approve or reject it."""

from __future__ import annotations

from statemachine.flows import State
from worker.errors import Buried
from worker.ledger.acts import Acts
from worker.ledger.audit_log import Act, Operator
from worker.observability.redaction import redact_text
from worker.operations.acts.refunds import unfinished
from worker.operations.acts.refusals import CHANGED, CannotAct
from worker.refund.approvals import is_requester
from worker.refund.changes import UNCLEAR, what_changed
from worker.refund.outcomes import outcome_of_end
from worker.refund.reasons import reason_of
from worker.refund.record import Refund

_NOT_WAITING = "does not wait for an approval"


def approve(acts: Acts, refund_id: str, *, operator: Operator, version: int | None = None) -> str:
    """Approve a refund as it is; returns what happens now.

    Raises:
        CannotAct: it does not wait for an approval, it has changed since it had this *version*, or
            the same person has requested or approved it.
    """
    refund = waiting(acts, refund_id, version)
    if redact_text(operator.by) != operator.by:
        raise CannotAct("needs a name that the audit log may show, with --by: no e-mail address")
    if is_requester(operator.by, refund.request.requested_by):
        raise CannotAct(f"was requested by {operator.by}: somebody else must approve it")
    approval = refund.approval
    after = {name: approval[name] for name in ("amount", "currency")}
    after["limits"] = ", ".join(approval["limits"])
    before = {"state": refund.state, "approvals": len(refund.approvals)}
    status, given, needed = acts.approve(refund, operator.act("approve", refund_id, before, after))
    if status == "again":
        raise CannotAct(f"was approved by {operator.by} already: somebody else must, too")
    if status == "not_waiting":
        raise CannotAct(_NOT_WAITING)
    if status == "changed":
        raise CannotAct(CHANGED)
    if status == "noted":
        return f"approved by {given} of {needed} people: it still waits"
    return "approved: it goes on"


def reject(acts: Acts, refund_id: str, *, operator: Operator, version: int | None = None) -> str:
    """Reject a refund that waits for an approval; returns what has become of it.

    It is called off, or a dead letter if an earlier call may have changed something at Wix.

    Raises:
        CannotAct: it does not wait for an approval, or has changed since it had this *version*.
    """
    refund = waiting(acts, refund_id, version)
    why = what_changed(refund)
    status = "unclear" if why else _call_off(acts, refund, operator)
    if status == "called_off":
        return "rejected: it is called off"
    if status == "unclear" and _bury(acts, refund, operator, why or UNCLEAR):
        return f"rejected: it is a dead letter, because {why or UNCLEAR}"
    raise CannotAct(CHANGED)


def _call_off(acts: Acts, refund: Refund, operator: Operator) -> str:
    who = {"by": operator.by, "why": operator.why, "approval": "rejected"}
    event = outcome_of_end(
        refund, State.CALLED_OFF, "reject", refund.facts, resolution=who, reason=dict(refund.reason)
    )
    return acts.call_off(refund, who, event, _act(refund, operator, State.CALLED_OFF))


def _bury(acts: Acts, refund: Refund, operator: Operator, why: str) -> bool:
    told = f"{operator.by}: {operator.why}; {why}"
    reason = reason_of(Buried("approval_rejected", detail=told))
    event = outcome_of_end(refund, State.DEAD, "reject", refund.facts, reason=reason)
    return acts.refuse(refund, reason, event, _act(refund, operator, State.DEAD))


def _act(refund: Refund, operator: Operator, to: State) -> Act:
    before, after = {"state": refund.state}, {"state": to}
    return operator.act("approve.reject", refund.refund_id, before, after)


def waiting(acts: Acts, refund_id: str, version: int | None = None) -> Refund:
    """Return a refund that waits for an approval, if it still has this *version*.

    Raises:
        CannotAct: it does not wait for one, or has changed.
    """
    refund = unfinished(acts, refund_id)
    if not refund.needs_approval:
        raise CannotAct(_NOT_WAITING)
    if version not in (None, refund.version):
        raise CannotAct(CHANGED)
    return refund
