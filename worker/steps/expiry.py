"""A job may say until when its refund may start. What has changed something at Wix goes on."""

from __future__ import annotations

from statemachine.flows import Transition
from worker.flows.step import Step
from worker.ledger.claims import Claim
from worker.refund.changes import what_changed
from worker.refund.record import Refund


def is_too_late(transition: Transition, refund: Refund, claim: Claim) -> bool:
    """Whether a refund that has not begun must not begin any more."""
    expires_at_ms = refund.request.expires_at_ms
    is_first = transition is Transition.ASSESS_ORDER
    return is_first and 0 < expires_at_ms <= claim.now_ms and not what_changed(refund)


def expires_at_ms(step: Step) -> int:
    """Return from when on the call that is about to be made must not be made; 0 for never."""
    until_ms = step.refund.request.expires_at_ms
    if not until_ms or step.wix.sent:
        return 0
    return 0 if what_changed(step.refund._replace(facts=step.facts)) else until_ms
