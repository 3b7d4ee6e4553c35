"""A step that makes no call to Wix is done in the same commit as the step before it.

An example is the confirmation of a refund whose answer was final. It stays a step of its own, with
its own line in the history, and runs by itself whenever it cannot be done here.
"""

from __future__ import annotations

from contextlib import suppress
from operator import attrgetter
from typing import Any

from statemachine.flows import Transition, next_transition
from worker.flows.actions import ACTIONS
from worker.flows.step import Advance, Step
from worker.ledger.claims import StepCommit
from worker.ledger.rate import EXPECTED_CALLS
from worker.refund.record import Refund
from worker.steps.results import Results, StepResult

#: What the commit of both steps has of the first one, or has after the second one. A step that says
#: anything else, now or in a later version of this program, has a commit of its own.
JOINED = frozenset(
    {
        *("state", "next", "facts", "fields", "history"),
        *("wix_calls", "accepted_endpoints", "wix_outcome"),
    }
)

#: What else a commit can say, and what it says of that if it says nothing.
_OTHERS = tuple(name for name in StepCommit._fields if name not in JOINED)
_rest = attrgetter(*_OTHERS)
_NOTHING = tuple(StepCommit._field_defaults[name] for name in _OTHERS)


def with_next_step(first: StepResult, step: Step, duration_ms: int) -> StepResult:
    """Return the result of a step and of the next one; of the step alone if that needs more."""
    transition = _next_of(first.commit)
    if not transition or step.reads.replaces(transition) < EXPECTED_CALLS[transition]:
        return first
    refund = _after(step.refund, first.commit)
    following = step.followed_by(refund)
    # What it cannot do without a call, or not at all, is done, or told, by the step itself.
    with suppress(Exception):
        result = ACTIONS[transition](following)
        if isinstance(result, Advance):
            second = Results(transition, refund, following).advanced(result)
            return _together(first, second, duration_ms)
    return first


def _next_of(commit: StepCommit) -> Transition | None:
    """Return the transition that can follow at once, if the step changes nothing else."""
    says_more = _rest(commit) != _NOTHING
    return next_transition(commit.state) if commit.next == "now" and not says_more else None


def _after(refund: Refund, commit: StepCommit) -> Refund:
    """Return the record as the next claim would load it."""
    return refund._replace(
        state=commit.state,
        flow=str(commit.fields["flow"]),
        version=refund.version + 1,
        attempt=1,
        attempts=refund.attempts + 1,
        wix_calls=refund.wix_calls + commit.wix_calls,
        failing_since_ms=0,
        intent_at_ms=0,
        reason={},
        facts=commit.facts or refund.facts,
    )


def _together(first: StepResult, second: StepResult, duration_ms: int) -> StepResult:
    own: dict[str, Any] = {**first.event, "duration_ms": duration_ms}
    commit = second.commit._replace(
        history=(*first.commit.history, *second.commit.history),
        wix_calls=first.commit.wix_calls,
        steps=2,
    )
    earlier = (*first.commit.history[:-1], own, *second.commit.history[:-1])
    return StepResult(commit, second.event, earlier)
