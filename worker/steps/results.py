"""What to write and log for each way in which a step can end (pure)."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from statemachine.flows import Flow, State, Transition, next_transition
from statemachine.machine import apply
from worker.errors import Buried, CallFailed, EffectUnknown, Rejected, Unreadable
from worker.flows.guarding import counts_of
from worker.flows.step import Advance, Step, Wait
from worker.ledger.claims import StepCommit
from worker.observability.foreign import type_and_place
from worker.observability.redaction import redact_text
from worker.refund import outcomes
from worker.refund.facts import NO_FACTS, Facts, Lifetime
from worker.refund.reasons import reason_of, what_wix_said
from worker.refund.record import Refund

#: A longer X-Wix-Consistent token is not kept; without one, Wix's answers may be stale.
LONGEST_TOKEN = 500

#: What a payment provider may take back; a cancelled order may have been refunded first.
WATCHED = frozenset({State.REFUNDED, State.CANCELLED})

#: The event for each state in which a step can end a refund early.
END_EVENTS: Mapping[State, str] = {State.REJECTED: "step.rejected", State.DEAD: "step.dead"}


class StepResult(NamedTuple):
    """What a step writes, and the event to log once it is written."""

    commit: StepCommit
    event: dict[str, Any]
    """The step's own event, which is logged last."""
    earlier: tuple[Mapping[str, Any], ...] = ()
    """What is logged before it, if not the other lines of the history."""


@dataclass(frozen=True)
class Results:
    """Builds the result of one step; `step` is None if there was no usable key to ask Wix with."""

    transition: Transition
    refund: Refund
    step: Step | None

    def advanced(self, result: Advance) -> StepResult:
        """The transition is done: continue with the next one, or finish."""
        flow = result.flow or Flow(self.refund.flow)
        # An assessment chooses the flow; another step may only lead out of one.
        is_free = result.flow is None or self.refund.state is State.ACCEPTED
        edges_of = flow if is_free else Flow(self.refund.flow)
        to = apply(self.refund.state, self.transition, result.to, flow=edges_of)
        facts = self._facts().forget(Lifetime.TRANSITION) | result.facts
        marks = {name: True for name in ("found", "by_merchant") if getattr(result, name)}
        event = self._event("step.done")
        event |= {"from_state": str(self.refund.state), "to_state": str(to)} | marks
        commit = self._commit(
            event,
            state=to,
            next="now" if next_transition(to) else "end",
            facts=self._kept(facts),
            fields={"attempt": 0, "failing_since_ms": 0, "reason": "{}", "flow": str(flow)},
            intent="clear",
            outcome=self._outcome(self.refund.in_flow(flow), to, facts, marks),
            watch_in_ms=self._watch_in_ms(to, facts),
            counts=counts_of(self.step, result, facts),
        )
        return StepResult(commit, dict(event))

    def _outcome(
        self, refund: Refund, to: State, facts: Facts, marks: Mapping[str, bool]
    ) -> dict[str, str] | None:
        """Return what upstream is told: the end, and on request each state before."""
        end = outcomes.outcome_of_end(refund, to, self.transition, facts, **marks)
        if end is None and self.step and self.step.settings.progress_events:
            return outcomes.progress(refund, to, self.transition)
        return end

    def held_back(self, why: str, in_ms: int) -> StepResult:
        """A mutating call must not be made yet: look again later. The attempt does not count."""
        return self.waiting(Wait(why=why, in_ms=in_ms, effect_known=False), "step.held_back")

    def waiting(self, result: Wait, event_name: str = "step.waiting") -> StepResult:
        """Nothing failed: look again later. The attempt does not count."""
        event = self._event(event_name) | {"why": result.why, "in_ms": result.in_ms}
        # Waiting for the effect of an unclear call is part of the failure: its clock keeps running.
        failing_since_ms = 0 if result.effect_known else self.refund.failing_since_ms
        known, answered = self.refund.facts, NO_FACTS
        if known.unreadable or known.refusals:
            answered = Facts(unreadable=0, refusals=0)
        commit = self._commit(
            event,
            state=self.refund.state,
            next="later",
            due_in_ms=result.in_ms,
            facts=self._kept(self._facts() | result.facts | answered),
            fields={"attempt": self.refund.attempt - 1, "failing_since_ms": failing_since_ms},
            intent="clear" if result.effect_known else "keep",
            uncounted=True,
        )
        return StepResult(commit, dict(event))

    def failed(
        self,
        error: Exception,
        next_try: Callable[[int | None], int | None],
        *,
        pause_ms: int = 0,
    ) -> StepResult:
        """The step failed: retry, or make the refund a dead letter if the retries are used up.

        *pause_ms* is how long all refunds of the store wait, because Wix throttles it with a 403.
        """
        is_unclear = self._is_unclear(error)
        if self.step and isinstance(error, Unreadable):
            self.step.learn(Facts(unreadable=self.refund.facts.unreadable + 1))
        reason = failure_reason(error)
        in_ms = next_try(error.retry_after_ms if isinstance(error, CallFailed) else None)
        if in_ms is None:
            return self.ended(self._given_up(error, reason), unclear=is_unclear)
        event = self._event("step.retry") | reason | {"in_ms": in_ms}
        if is_unclear:
            event["outcome_unknown"] = True
        since_ms = self.refund.failing_since_ms or (self.step.now_ms if self.step else 0)
        commit = self._commit(
            event,
            state=self.refund.state,
            next="later",
            due_in_ms=in_ms,
            facts=self._kept(self._facts(unclear=is_unclear)),
            fields={
                "attempt": self.refund.attempt,
                "failing_since_ms": since_ms,
                "reason": json.dumps(reason),
            },
            intent="open" if is_unclear else "keep",
            **({"throttled": True, "pause_ms": pause_ms} if pause_ms else {}),
        )
        return StepResult(commit, dict(event))

    def _is_unclear(self, error: Exception) -> bool:
        """Whether a call of this step may have had an effect that we do not know of."""
        sent = self.step.wix.sent if self.step else 0
        return isinstance(error, EffectUnknown) or (sent > 0 and not isinstance(error, CallFailed))

    def _given_up(self, error: Exception, reason: Mapping[str, Any]) -> Buried:
        code = str(reason["reason"])
        if self._is_unclear(error) or (self.step and self.step.may_have_happened):
            code = "outcome_unknown"
        elif isinstance(error, Unreadable):
            code = "answer_unreadable"
        elif code == "wix_failed":
            code = "attempts_used_up"
        return Buried(code, error if isinstance(error, CallFailed) else None, reason["error"])

    def ended(self, end: Rejected | Buried, *, unclear: bool = False) -> StepResult:
        """The refund ends as rejected, an answer for upstream, or as a dead letter."""
        to = State.DEAD if isinstance(end, Buried) else State.REJECTED
        apply(self.refund.state, self.transition, to)
        reason = reason_of(end)
        logged = {name: reason[name] for name in reason if name not in {"remedy", "detail"}}
        if reason.get("detail"):
            logged["error"] = reason["detail"]
        event = self._event(END_EVENTS[to]) | {"from_state": str(self.refund.state)} | logged
        facts = self._facts(unclear=unclear)
        fields: dict[str, str | int] = {
            "reason": json.dumps(reason),
            "attempt": self.refund.attempt,
        }
        if isinstance(end, Buried):
            fields["died_in"] = end.resume or self.refund.state
        commit = self._commit(
            event,
            state=to,
            next="end",
            facts=self._kept(facts),
            fields=fields,
            intent="open" if unclear else "keep",
            outcome=outcomes.outcome_of_end(self.refund, to, self.transition, facts, reason=reason),
            also=outcomes.overpaid(self.refund.request, facts) if facts.overpaid else None,
            lacking=end.cause.endpoint if end.reason == "scope_missing" and end.cause else "",
        )
        return StepResult(commit, dict(event))

    def paused(self, error: CallFailed, *, in_ms: int, whole_store: bool) -> StepResult:
        """Wix refused a call and did not say why: ask again later. The attempt does not count."""
        self._count_refusal()
        reason = failure_reason(error)
        event = self._event("step.forbidden") | reason | {"in_ms": in_ms}
        commit = self._commit(
            event,
            state=self.refund.state,
            next="lane" if whole_store else "later",
            due_in_ms=in_ms,
            facts=self._kept(self._facts()),
            fields={
                "attempt": self.refund.attempt - 1,
                "failing_since_ms": 0,
                "reason": json.dumps(reason),
            },
            intent="keep",
            uncounted=True,
            **({"throttled": True, "pause_ms": in_ms} if whole_store else {}),
        )
        return StepResult(commit, dict(event))

    def _count_refusal(self) -> None:
        if self.step:
            self.step.learn(Facts(refusals=self.refund.facts.refusals + 1))

    def suspended(
        self, reason: Mapping[str, Any], *, endpoint: str, probe_in_ms: int
    ) -> StepResult:
        """Wix refused the store's key: back into the lane. The attempt does not count."""
        self._count_refusal()
        event = self._event("step.suspended") | {"reason": reason["reason"]}
        store_id = self.refund.request.store_id
        commit = self._commit(
            event,
            state=self.refund.state,
            next="lane",
            facts=self._kept(self._facts()),
            fields={
                "attempt": self.refund.attempt - 1,
                "failing_since_ms": 0,
                "reason": json.dumps(reason),
            },
            intent="keep",
            uncounted=True,
            suspension={
                "reason": json.dumps(reason, ensure_ascii=False),
                "endpoint": endpoint,
                "probe_in_ms": probe_in_ms,
                "outcome": outcomes.of_store("suspended", store_id, reason=reason),
            },
        )
        return StepResult(commit, dict(event))

    def _commit(self, event: Mapping[str, Any], **fields: Any) -> StepCommit:
        """Add what all results have: the history line, the calls, the endpoints that worked."""
        calls = self.step.wix.calls if self.step else 0
        outcome = self.step.wix.outcome if self.step else ""
        accepted = tuple(sorted(self.step.wix.accepted_endpoints)) if self.step else ()
        if self.step and (answer := self.step.wix.throttled):
            fields = {"throttled": True, "pause_ms": answer.retry_after_ms or 0} | fields
        return StepCommit(
            history=(*(self.step.notices if self.step else ()), event),
            wix_calls=calls,
            wix_outcome=outcome,
            accepted_endpoints=accepted,
            **fields,
        )

    def _event(self, name: str) -> dict[str, Any]:
        event: dict[str, Any] = {
            "event": name,
            "transition": str(self.transition),
            "attempt": self.refund.attempt,
            "wix_calls": self.step.wix.calls if self.step else 0,
        }
        if self.step and self.step.wix.request_id:
            event["wix_request_id"] = self.step.wix.request_id
        return event

    def _facts(self, *, unclear: bool = False) -> Facts:
        """Return the facts of the record and of the step; count a call with an unknown effect."""
        if self.step is None:
            return self.refund.facts
        if not unclear:
            return self.step.facts
        return self.step.facts | Facts(
            unclear_sends=self.refund.facts.unclear_sends + 1, quiet_looks=0
        )

    def _kept(self, facts: Facts) -> Facts:
        """Add Wix's consistency token, so that the next step reads what this one wrote."""
        token = self.step.wix.consistent if self.step else ""
        is_new = token and token != facts.consistent
        is_kept = is_new and len(token) <= LONGEST_TOKEN and redact_text(token) == token
        return facts | Facts(consistent=token) if is_kept else facts

    def _watch_in_ms(self, to: State, facts: Facts) -> int:
        """Return when to recheck; 0 for never. A provider can only take back what it paid."""
        if self.step is None or to not in WATCHED or not facts.has_moved:
            return 0
        settings = self.step.settings
        return settings.watch_first_ms if settings.watch_for_s else 0


def failure_reason(error: Exception) -> dict[str, Any]:
    """Return what the record and the log say about a failure that is retried."""
    if not isinstance(error, CallFailed):
        # The text of an unexpected error may contain secrets: log only its type and place.
        return {"reason": "worker_error", "error": type_and_place(error)}
    return {"reason": "wix_failed", "error": redact_text(str(error))} | what_wix_said(error)
