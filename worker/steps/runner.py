"""One step: the algorithm that all transitions share.

Claim, look, write the intent, act, commit; the flows only look and act. The message stays
in flight until the commit, so a crash at any point brings it back, and the look makes the second
run harmless.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import redis

from config.settings import Settings
from statemachine.flows import Transition, next_transition
from worker.errors import (
    Buried,
    CallFailed,
    EffectUnknown,
    HeldBack,
    LeaseLost,
    NeedsApproval,
    OrderFound,
    OtherLedger,
    Permanent,
    Rejected,
    Unauthorized,
    Unreadable,
)
from worker.flows.actions import ACTIONS
from worker.flows.backlog import Backlog
from worker.flows.guarding import guard_of
from worker.flows.reads import Reads, RecentReads
from worker.flows.refunding_first import never_rejected
from worker.flows.step import Step, Wait
from worker.ledger.claims import Claim, StepCommit
from worker.ledger.rate import EXPECTED_CALLS
from worker.ledger.refunds import Ledger
from worker.ledger.stores import NOT_CONNECTED, Stores
from worker.observability.context import bind
from worker.observability.events import log_event
from worker.observability.tracing import Tracer
from worker.queue.delivery import Delivery
from worker.queue.server_errors import explain
from worker.refund.reasons import end_with, reason_of
from worker.refund.record import Refund
from worker.steps.approvals import ask_for_approval
from worker.steps.at_once import with_next_step
from worker.steps.expiry import expires_at_ms, is_too_late
from worker.steps.found_order import go_on_with
from worker.steps.refused_key import Pause, judge, pause_ms
from worker.steps.results import Results, StepResult
from worker.steps.retry import COMMIT_PAUSES_S, HELD_BACK, RetryPolicy
from worker.steps.step_logs import log_committed, log_unclaimed, with_stack
from worker.steps.traced import traced
from worker.stores.keyring import Keyring, UnknownStore
from worker.stores.vault import Credentials, NoKey
from worker.wix.client import ClientFactory

#: Answers in a row that may be not as documented; more would not help, a person must look.
UNREADABLE_ANSWERS = 3


@dataclass(frozen=True, kw_only=True)
class Steps:
    """Runs steps. Its parts are arguments, so that tests can replace them."""

    ledger: Ledger
    keyring: Keyring
    stores: Stores
    wix: ClientFactory
    settings: Settings
    retry: RetryPolicy
    random: Callable[[], float]
    checkpoint: Callable[[str], None]
    """Called with the name of each point of a step; tests kill the program there."""
    pause: Callable[[float], None]
    monotonic: Callable[[], float]
    recent: RecentReads
    backlog: Backlog
    tracer: Tracer

    @traced
    def run(self, transition: Transition, refund_id: str, delivery: Delivery) -> None:
        """Run one step and commit its result.

        Raises:
            redis.RedisError: the result may not be written; the message must be delivered again.
            LeaseLost: another worker may hold the order; nothing was written.
            OtherLedger: the ledger was emptied or replaced; nothing was written.
        """
        started = self.monotonic()
        self.checkpoint("handed_over" if delivery.claimed else "before_claim")
        calls = _expected(transition, self.recent.kept(refund_id))
        claim = self.ledger.claim(refund_id, transition, delivery, calls=calls)
        if claim.status != "claimed" or claim.refund is None:
            log_unclaimed(claim, transition)
            return
        self.checkpoint("after_claim")
        request = claim.refund.request
        bind(store_id=request.store_id, order_id=request.order_id)
        self.tracer.about(refund_id, request.store_id, request.traceparent)
        reads = self.recent.take(claim.refund).in_epoch(claim.epoch)
        if is_too_late(transition, claim.refund, claim):
            result = Results(transition, claim.refund, None).ended(end_with("expired"))
        else:
            result = self._with_key(transition, claim, claim.refund, delivery, reads, started)
        self.checkpoint("after_call")
        event = result.event | {"duration_ms": self._ms_since(started)}
        self.checkpoint("before_commit")
        status = self._commit(refund_id, claim, _with_calls(result.commit, reads), delivery)
        if result.commit.next == "now":
            # The commit told the ledger, unless the next step of this thread is to do it.
            goes_on = delivery.chain is not None and delivery.chain.goes_on_with(refund_id)
            kept = reads if goes_on else reads.told()
            self.recent.keep(claim.refund, kept, steps=result.commit.steps)
        self.checkpoint("after_commit")
        log_committed(result, event, status)

    def _with_key(
        self,
        transition: Transition,
        claim: Claim,
        refund: Refund,
        delivery: Delivery,
        reads: Reads,
        started: float,
    ) -> StepResult:
        """Run the step if there is a usable key for the store."""
        unasked = Results(transition, refund, None)
        if claim.disconnected:
            return unasked.ended(Buried("store_disconnected"))
        try:
            store = self.keyring.credentials(refund.request.store_id, claim.sealed)
        except NoKey as error:
            code = NOT_CONNECTED if isinstance(error, UnknownStore) else "key_sealed_shut"
            if code == NOT_CONNECTED and not self.settings.store_unknown_for_s:
                return unasked.ended(Buried("store_unknown"))
            return unasked.suspended(
                reason_of(Buried(code)), endpoint="", probe_in_ms=self.settings.probe_first_ms
            )
        step = self._step_for(transition, store, claim, refund, delivery, reads)
        result = self._act(Results(transition, refund, step), step)
        reads.outcome = step.wix.outcome
        if delivery.chain and delivery.chain.may_go_on():
            return with_next_step(result, step, self._ms_since(started))
        return result

    def _step_for(
        self,
        transition: Transition,
        store: Credentials,
        claim: Claim,
        refund: Refund,
        delivery: Delivery,
        reads: Reads,
    ) -> Step:
        request = refund.request
        wix = self.wix.store(
            store.store_id,
            store.api_key,
            before_mutation=lambda: self._write_intent(transition, step, claim, delivery),
            consistent=refund.facts.consistent,
        )
        wix.accepted_endpoints, wix.outcome = reads.accepted_endpoints, reads.outcome
        step = Step(
            refund=refund,
            wix=wix,
            now_ms=claim.now_ms,
            settings=self.settings,
            refunds_of_order=lambda: self.ledger.of_order(request.store_id, request.order_id),
            reads=reads,
            shared_order=lambda: self.backlog.find(
                wix, request.store_id, request.order_id, waiting=claim.waiting
            ),
        )
        return step

    def _ms_since(self, started: float) -> int:
        return round((self.monotonic() - started) * 1000)

    def _write_intent(
        self, transition: Transition, step: Step, claim: Claim, delivery: Delivery
    ) -> None:
        """Before each mutating call, write the intent, unless another worker holds the order.

        Our own heartbeat proves nothing: a worker with other settings, or a step of the
        server's clock, may have taken the order over. The same write asks the money guards.
        """
        self.checkpoint("before_intent")
        guard = guard_of(step, transition)
        intent = self.ledger.write_intent(
            claim, step.refund, delivery, guard, expires_at_ms=expires_at_ms(step)
        )
        if intent.status == "lost":
            raise LeaseLost(step.refund.refund_id)
        if intent.status == "expired":
            raise end_with("expired")
        if intent.status == "needs_approval":
            raise NeedsApproval(intent.asks)
        if intent.status != "written":
            raise HeldBack(HELD_BACK[intent.status], intent.wait_ms)
        self.checkpoint("before_call")

    def _act(self, results: Results, step: Step) -> StepResult:
        """Run the action and turn its result, or its error, into what to write and log."""
        try:
            result = ACTIONS[results.transition](step)
            if isinstance(result, Wait):
                return results.waiting(result)
            return results.advanced(result)
        except (LeaseLost, OtherLedger, redis.RedisError):
            raise
        except HeldBack as held:
            return results.held_back(str(held), held.wait_ms)
        except OrderFound as found:
            return go_on_with(results, found.order_id)
        except NeedsApproval as needed:
            return ask_for_approval(results, step, needed.asks)
        except Unauthorized as refusal:
            return self._refused(results, step, refusal)
        except Exception as error:  # noqa: BLE001 - a bug must neither lose nor double a refund
            if end := _end_of(error):
                return results.ended(never_rejected(step, end))
            # A gateway's 403 to a mutating call.
            is_forbidden = isinstance(error, EffectUnknown) and error.status == 403
            wait_ms = pause_ms(step) if is_forbidden else 0
            failed = results.failed(error, self._next_try(step, error), pause_ms=wait_ms)
            return with_stack(failed, error)

    def _refused(self, results: Results, step: Step, refusal: Unauthorized) -> StepResult:
        """Wix refused the key: pause or suspend the store, or end with what is missing."""
        store_id = step.refund.request.store_id
        try:
            result = judge(refusal, step, lambda: self.stores.rights(store_id))
        except CallFailed as unclear:
            return results.failed(unclear, self._next_try(step, unclear))
        if isinstance(result, Pause):
            return results.paused(refusal, in_ms=result.in_ms, whole_store=result.whole_store)
        if result:
            return results.ended(result)
        return results.suspended(
            reason_of(Buried("key_refused", refusal)),
            endpoint=refusal.endpoint,
            probe_in_ms=self.settings.probe_first_ms,
        )

    def _next_try(self, step: Step, error: Exception) -> Callable[[int | None], int | None]:
        """Return a function from Wix's `Retry-After` to the wait in ms; None if we give up."""
        refund = step.refund
        unreadable = refund.facts.unreadable + 1 if isinstance(error, Unreadable) else 0
        failing_for_ms = step.now_ms - (refund.failing_since_ms or step.now_ms)
        is_last = 0 < refund.last_try_ms == refund.failing_since_ms

        def in_ms(retry_after_ms: int | None) -> int | None:
            used_up = self.retry.is_used_up(refund.attempt, failing_for_ms=failing_for_ms)
            if used_up or is_last or unreadable >= UNREADABLE_ANSWERS:
                return None
            return self.retry.wait_ms(refund.attempt, self.random, retry_after_ms=retry_after_ms)

        return in_ms

    def _commit(self, refund_id: str, claim: Claim, commit: StepCommit, delivery: Delivery) -> str:
        """Commit the result once; a short outage of Redis must not lose what Wix did."""
        for pause_s in (*COMMIT_PAUSES_S, None):
            try:
                status = self.ledger.commit(refund_id, claim, commit, delivery)
                if not status:
                    raise LeaseLost(refund_id)
                return status
            except redis.RedisError as error:
                if pause_s is None:
                    raise
                if pause_s == COMMIT_PAUSES_S[0]:
                    log_event("worker.redis_lost", error=explain(error))
                self.pause(pause_s)
        raise AssertionError("unreachable: the last round returns or raises")


def _expected(transition: Transition, reads: Reads | None) -> int:
    """Return how many calls a step will make, if it can use what the step before it read."""
    return EXPECTED_CALLS[transition] - (reads.replaces(transition) if reads else 0)


def _with_calls(commit: StepCommit, reads: Reads) -> StepCommit:
    """Say how many calls the next step will make, for which they are reserved."""
    following = next_transition(commit.state) if commit.next == "now" else None
    return commit._replace(next_calls=_expected(following, reads)) if following else commit


def _end_of(error: Exception) -> Rejected | Buried | None:
    """Return the end of the refund if this error ends it at once; None to retry."""
    if isinstance(error, Rejected | Buried):
        return error
    if isinstance(error, Permanent):
        return end_with("refused_by_wix", error)
    return None
