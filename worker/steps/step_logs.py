"""What is logged of a step: why it was not run, or what it has changed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from statemachine.flows import State, Transition
from statemachine.machine import Redundant, TransitionError, check
from worker.errors import CallFailed
from worker.ledger.claims import Claim
from worker.observability.events import log_event
from worker.observability.foreign import stack_of
from worker.steps.results import StepResult

#: The event for each status of a claim that is not granted.
UNCLAIMED_EVENTS: Mapping[str, str] = MappingProxyType(
    {
        "unknown": "step.unknown_refund",
        "newer": "step.newer",
        "early": "step.early",
        "busy": "step.busy",
        "suspended": "step.suspended",
        "paused": "step.paused",
        "on_hold": "step.on_hold",
        "paced": "step.paced",
    }
)


def log_committed(result: StepResult, event: Mapping[str, Any], status: str) -> None:
    """Log what was committed; *event*, the step's own, takes the place of its history line."""
    commit = result.commit
    for line in (*(result.earlier or commit.history[:-1]), event):
        fields = dict(line)
        log_event(fields.pop("event"), **fields)
    if commit.also:
        log_event("refund.overpaid", **_overpaid(commit.also))
    if commit.throttled:
        log_event("store.throttled", pause_ms=commit.pause_ms)
    if status == "suspended" and commit.suspension:
        log_event("store.suspended", **json.loads(commit.suspension["reason"]))


def with_stack(result: StepResult, error: Exception) -> StepResult:
    """Let the log say which calls led to an error of ours; the ledger keeps its place only."""
    if isinstance(error, CallFailed):
        return result
    return result._replace(event=result.event | {"stack": stack_of(error)})


def _overpaid(event: Mapping[str, str]) -> dict[str, Any]:
    fields = json.loads(event["data"])
    return {"wix_refund_ids": fields["wix_refund_ids"], **fields["to_recover"]}


def log_unclaimed(claim: Claim, transition: Transition) -> None:
    """Log why a claim was not granted."""
    if claim.status == "refused" and claim.refund is not None:
        state: State = claim.refund.state
        try:
            check(state, transition)
        except TransitionError as refusal:
            redundant = isinstance(refusal, Redundant)
            event = "step.redundant" if redundant else "step.illegal"
            log_event(event, transition=transition.value, state=state.value)
        return
    log_event(UNCLAIMED_EVENTS[claim.status], transition=transition.value)
