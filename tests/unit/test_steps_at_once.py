"""Which steps are committed together with the next one."""

from __future__ import annotations

from typing import Any

import pytest

from statemachine.flows import State, Transition
from worker.ledger.claims import StepCommit
from worker.steps.at_once import JOINED, _next_of

DONE = StepCommit(state=State.REFUND_SUBMITTED, next="now")
#: A value for each other field, as a step that does more would set it.
MORE: dict[str, Any] = {
    "due_in_ms": 1,
    "intent": "keep",
    "uncounted": True,
    "next_calls": 1,
    "steps": 2,
    "outcome": {"type": "refund.progress"},
    "asks": {"limit": "one"},
    "counts": {"amount": "1.00"},
    "also": {"type": "refund.overpaid"},
    "watch_in_ms": 1,
    "suspension": {"endpoint": "get_order"},
    "throttled": True,
    "pause_ms": 1,
    "lacking": "get_order",
}


def test_a_step_that_only_goes_on_is_committed_with_the_next_one() -> None:
    """As long as a transition follows."""
    assert _next_of(DONE) is Transition.CONFIRM_REFUND
    assert _next_of(DONE._replace(history=({"event": "step.done"},), wix_calls=3)) is not None
    assert _next_of(DONE._replace(next="later")) is None
    assert _next_of(DONE._replace(state=State.REFUNDED, next="end")) is None


@pytest.mark.parametrize("name", sorted(set(StepCommit._fields) - JOINED))
def test_a_step_that_changes_more_has_a_commit_of_its_own(name: str) -> None:
    """The commit of both would lose it: what the money guards count, what upstream is told."""
    assert _next_of(DONE._replace(**{name: MORE[name]})) is None
