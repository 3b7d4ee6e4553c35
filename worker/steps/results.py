"""What is written and told of each way in which a step may end (pure)."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from statemachine.flows import Flow, State, Transition, next_transition
from statemachine.machine import apply
from worker.errors import Buried, CallFailed, EffectUnknown, Rejected
from worker.flows.step import Advance, Step, Wait
from worker.ledger.claims import StepCommit
from worker.observability.redaction import redact, redact_text
from worker.refund import outcomes
from worker.refund.reasons import reason_of, what_wix_said
from worker.refund.record import Refund

#: A token of X-Wix-Consistent is kept up to this length; without it we are only less sure.
LONGEST_TOKEN = 500

Verdict = tuple[StepCommit, dict[str, Any]]

#: Facts about one transition's tries; they end with it.
_OF_ONE_TRANSITION = (
    "unclear_sends",
    "looks",
    "waiting_since_ms",
    "refunds_before",
    "misses",
    "changed",
)


def advanced(transition: Transition, refund: Refund, step: Step, result: Advance) -> Verdict:
    """It is done: on to the next transition, or to the end."""
    flow = str(result.facts.get("flow", "")) or refund.flow
    to = apply(refund.state, transition, result.to, flow=Flow(flow))
    known = {**refund.facts, **step.notes}
    facts = {k: v for k, v in known.items() if k not in _OF_ONE_TRANSITION}
    facts |= {k: v for k, v in result.facts.items() if k != "flow"}
    event = _event("step.done", transition, refund, step) | {
        "from_state": refund.state.value,
        "to_state": to.value,
    }
    event |= _marks(result)
    commit = StepCommit(
        state=to,
        next="now" if next_transition(to) else "end",
        fields=_fields(facts, step)
        | {"attempt": 0, "failing_since_ms": 0, "reason": "{}", "flow": flow},
        history=(event,),
        wix_calls=step.wix.calls,
        worked=_worked(step),
        outcome=outcomes.outcome_of_end(
            replace(refund, flow=flow), to, transition, facts, **_marks(result)
        ),
        watch_in_ms=_watch_in_ms(to, facts, step),
    )
    return commit, dict(event)


def _watch_in_ms(to: State, facts: Mapping[str, Any], step: Step) -> int:
    """What was only recorded did not pass a provider who could take it back."""
    is_watched = to is State.REFUNDED and facts["effect"] == "payments_refunded"
    return step.settings.watch_first_ms if is_watched and step.settings.watch_for_s else 0


def _marks(result: Advance) -> dict[str, bool]:
    return {name: True for name in ("found", "by_merchant") if getattr(result, name)}


def waiting(transition: Transition, refund: Refund, step: Step, result: Wait) -> Verdict:
    """Nothing failed: look again later; the attempt does not count."""
    event = _event("step.waiting", transition, refund, step) | {
        "why": result.why,
        "in_ms": result.in_ms,
    }
    commit = StepCommit(
        state=refund.state,
        next="later",
        due_in_ms=result.in_ms,
        fields=_fields({**refund.facts, **step.notes, **result.facts}, step)
        | {
            "attempt": refund.attempt - 1,
            # Waiting out an unclear call is part of its failing: its time goes on.
            "failing_since_ms": 0 if result.effect_known else refund.failing_since_ms,
        },
        history=(event,),
        wix_calls=step.wix.calls,
        worked=_worked(step),
        intent="clear" if result.effect_known else "keep",
        uncounted=True,
    )
    return commit, dict(event)


def failed(
    transition: Transition,
    refund: Refund,
    step: Step,
    error: Exception,
    next_try: Callable[[int | None], int | None],
) -> Verdict:
    """It failed for now: the same transition again, or a dead letter when the tries are used up."""
    unclear = isinstance(error, EffectUnknown) or (
        step.wix.sent > 0 and not isinstance(error, CallFailed)
    )
    facts = {**refund.facts, **step.notes}
    if unclear:
        facts["unclear_sends"] = step.unclear_sends + 1
    reason = failure_reason(error)
    in_ms = next_try(error.retry_after_ms if isinstance(error, CallFailed) else None)
    if in_ms is None:
        code = "outcome_unknown" if unclear or step.may_have_happened else reason["reason"]
        code = "attempts_used_up" if code == "wix_failed" else code
        cause = error if isinstance(error, CallFailed) else None
        ending = Buried(code, cause, reason["error"])
        return ended(transition, refund, step, ending, unclear=unclear)
    event = _event("step.retry", transition, refund, step) | reason | {"in_ms": in_ms}
    if unclear:
        event["outcome_unknown"] = True
    commit = StepCommit(
        state=refund.state,
        next="later",
        due_in_ms=in_ms,
        fields=_fields(facts, step)
        | {
            "attempt": refund.attempt,
            "failing_since_ms": refund.failing_since_ms or step.now_ms,
            "reason": json.dumps(reason),
        },
        history=(event,),
        wix_calls=step.wix.calls,
        worked=_worked(step),
        intent="open" if unclear else "keep",
    )
    return commit, dict(event)


def ended(
    transition: Transition,
    refund: Refund,
    step: Step | None,
    ending: Rejected | Buried,
    *,
    unclear: bool = False,
) -> Verdict:
    """An answer for upstream, or a dead letter; *step* is None when Wix could not be asked."""
    to = apply(
        refund.state, transition, State.DEAD if isinstance(ending, Buried) else State.REJECTED
    )
    reason = reason_of(ending)
    said = {name: reason[name] for name in reason if name not in {"remedy", "detail"}}
    if reason.get("detail"):
        said["error"] = reason["detail"]
    event = (
        _event(f"step.{to}", transition, refund, step) | {"from_state": refund.state.value} | said
    )
    facts = {**refund.facts, **(step.notes if step else {})}
    if unclear and step:
        facts["unclear_sends"] = step.unclear_sends + 1
    commit = StepCommit(
        state=to,
        next="end",
        fields=_fields(facts, step)
        | {"reason": json.dumps(reason), "attempt": refund.attempt}
        | ({"died_in": ending.resume or refund.state} if isinstance(ending, Buried) else {}),
        history=(event,),
        wix_calls=step.wix.calls if step else 0,
        worked=_worked(step),
        intent="open" if unclear else "keep",
        outcome=outcomes.outcome_of_end(refund, to, transition, facts, reason=reason),
    )
    return commit, dict(event)


def suspended(
    transition: Transition,
    refund: Refund,
    step: Step | None,
    reason: Mapping[str, Any],
    endpoint: str,
    probe_in_ms: int,
) -> Verdict:
    """The store's key is refused: back into the lane, which is held; the attempt does not count."""
    event = _event("step.suspended", transition, refund, step) | {"reason": reason["reason"]}
    commit = StepCommit(
        state=refund.state,
        next="lane",
        fields=_fields({**refund.facts, **(step.notes if step else {})}, step)
        | {"attempt": refund.attempt - 1, "failing_since_ms": 0, "reason": json.dumps(reason)},
        history=(event,),
        wix_calls=step.wix.calls if step else 0,
        intent="keep",
        uncounted=True,
        worked=_worked(step),
        suspension={
            "reason": json.dumps(reason, ensure_ascii=False),
            "endpoint": endpoint,
            "probe_in_ms": probe_in_ms,
            "outcome": outcomes.of_store("suspended", refund.request.store_id, reason=reason),
        },
    )
    return commit, dict(event)


def _worked(step: Step | None) -> tuple[str, ...]:
    return tuple(sorted(step.wix.worked)) if step else ()


def _event(name: str, transition: Transition, refund: Refund, step: Step | None) -> dict[str, Any]:
    event: dict[str, Any] = {
        "event": name,
        "transition": transition.value,
        "attempt": refund.attempt,
        "wix_calls": step.wix.calls if step else 0,
    }
    if step and step.wix.request_id:
        event["wix_request_id"] = step.wix.request_id
    return event


def _fields(facts: Mapping[str, Any], step: Step | None) -> dict[str, str | int]:
    """The facts as one field, with Wix's token, so that the next step reads what this one wrote."""
    token = step.wix.consistent if step else ""
    if token and len(token) <= LONGEST_TOKEN and redact_text(token) == token:
        facts = {**facts, "consistent": token}
    return {"facts": json.dumps(redact(facts), ensure_ascii=False)}


def failure_reason(error: Exception) -> dict[str, Any]:
    """What the record and the log say of a failure that is tried again."""
    if not isinstance(error, CallFailed):
        # The text of an unexpected error may hold anything: only its kind and place are told.
        return {"reason": "worker_error", "error": f"{type(error).__name__} at {_place(error)}"}
    return {"reason": "wix_failed", "error": redact_text(str(error))} | what_wix_said(error)


def _place(error: Exception) -> str:
    trace = error.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    if trace is None:
        return "an unknown place"
    return f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}"
