"""A step whose call would exceed a limit: its refund is held until people approve it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from worker.flows.step import Step, Wait
from worker.refund.approvals import GUARD, approval_from, reason_to_ask
from worker.refund.outcomes import approval_needed
from worker.refund.request import HOLDS
from worker.steps.results import Results, StepResult


def ask_for_approval(results: Results, step: Step, asks: Mapping[str, Any]) -> StepResult:
    """Hold the refund where it is; upstream is told. The attempt does not count."""
    approval = approval_from(asks)
    reason = reason_to_ask(approval)
    why = f"{reason['reason']}: {reason['detail']}"
    waits = results.waiting(Wait(why=why, in_ms=0, effect_known=False), "step.needs_approval")
    told = {
        "hold": json.dumps({"by": GUARD, "why": reason["detail"], "reason": reason["reason"]}),
        "reason": json.dumps(reason),
        "approval": json.dumps(approval.stored()),
        "schema": HOLDS,
        "outcome": approval_needed(step.refund.request, approval, reason),
    }
    event = {name: value for name, value in waits.event.items() if name != "in_ms"}
    history = (*waits.commit.history[:-1], event)
    return StepResult(waits.commit._replace(next="lane", asks=told, history=history), event)
