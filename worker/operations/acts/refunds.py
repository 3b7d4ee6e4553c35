"""What people do to a refund that has not ended: retry, cancel, hold, release."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from statemachine.flows import State
from worker.ledger.acts import Acts
from worker.ledger.audit_log import Operator
from worker.operations.acts.refusals import CHANGED, NEWER, CannotAct
from worker.refund.changes import UNCLEAR, what_changed
from worker.refund.outcomes import outcome_of_end
from worker.refund.record import Refund

_RUNNING = "a worker is running a step of it right now: try again in a few seconds"

#: Why an act was refused, for each answer of its script that is not a success.
REFUSALS: Mapping[str, str] = MappingProxyType(
    {
        "changed": CHANGED,
        "newer": NEWER,
        "running": f"cannot be cancelled now: {_RUNNING}",
        "unclear": f"cannot be cancelled: {UNCLEAR}",
        "already": "is on hold already",
        "on_hold": "is on hold; to let it go on: refunds release",
        "needs_approval": "waits for an approval; to let it go on: refunds approve",
        "early": "must not start yet: its job says when it may",
        "lane": "does not wait for a retry: it waits in its store's lane for its turn",
        "busy": "does not wait for a retry: it is queued or running right now",
    }
)


def retry(acts: Acts, refund_id: str, *, operator: Operator) -> None:
    """Let a refund that waits for a retry, or for a look, go now.

    Raises:
        CannotAct: it does not wait for one.
    """
    refund = unfinished(acts, refund_id)
    before = {"state": refund.state, "due_at_ms": refund.due_at_ms}
    _check(acts.retry(refund, operator.act("retry", refund_id, before)), "retried", refund)


def cancel(acts: Acts, refund_id: str, *, operator: Operator) -> None:
    """Call off a refund that waits and has changed nothing at Wix.

    Raises:
        CannotAct: it may have changed something, or a worker is running it.
    """
    refund = unfinished(acts, refund_id)
    if why := what_changed(refund):
        raise CannotAct(f"cannot be cancelled: {why}")
    who = {"by": operator.by, "why": operator.why}
    event = outcome_of_end(refund, State.CALLED_OFF, "cancel", refund.facts, resolution=who)
    after = {"state": State.CALLED_OFF}
    act = operator.act("cancel", refund_id, {"state": refund.state}, after)
    _check(acts.call_off(refund, who, event, act), "called_off", refund)


def hold(acts: Acts, refund_id: str, *, operator: Operator) -> str:
    """Stop a refund where it is; returns how: at once, or after the step that runs.

    Raises:
        CannotAct: it has ended, or is on hold.
    """
    refund = unfinished(acts, refund_id)
    act = operator.act("hold", refund_id, {"state": refund.state}, {"on_hold": True})
    status = acts.hold(refund, {"by": operator.by, "why": operator.why}, act)
    if status == "stopping":
        return "on hold after the step that is running"
    _check(status, "held", refund)
    return "on hold"


def release(acts: Acts, refund_id: str, *, operator: Operator) -> None:
    """Let a refund on hold go on.

    Raises:
        CannotAct: it is not on hold.
    """
    refund = unfinished(acts, refund_id)
    act = operator.act("release", refund_id, {"on_hold": dict(refund.hold)}, {"on_hold": False})
    if not acts.let_go(refund, act):
        raise CannotAct("is not on hold")


def unfinished(acts: Acts, refund_id: str) -> Refund:
    """Return a refund that has not ended.

    Raises:
        CannotAct: it has, or there is none.
    """
    refund = acts.ledger.load(refund_id)
    if refund is None:
        if acts.ledger.tombstone(refund_id):
            raise CannotAct("has ended long ago, and is in the archive: refunds show")
        raise CannotAct("there is no such refund; a job may still be in the queue")
    return refund


def _check(status: str, success: str, refund: Refund) -> None:
    if status == success:
        return
    if status == "ended":
        more = "; see `refunds dead`" if refund.state is State.DEAD else ""
        raise CannotAct(f"has ended: its state is {refund.state}{more}")
    if status == "on_hold" and refund.needs_approval:
        status = "needs_approval"
    raise CannotAct(REFUSALS[status])
