"""One step: the algorithm that all transitions share. The flows only look and do.

Claim, look, intent (the claim carries it), do, settle. The message stays in the queue until then,
so a crash anywhere brings it back, and the look makes the second run harmless.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import redis
import structlog

from config.settings import Settings
from statemachine.flows import State, Transition
from statemachine.machine import Redundant, TransitionError, check
from worker.errors import (
    Buried,
    CallFailed,
    LeaseLost,
    Permanent,
    Rejected,
    Unauthorized,
    Unreadable,
)
from worker.flows.assessment import assess_order
from worker.flows.cancellation import cancel_order, unfulfill_order
from worker.flows.restoring import restore_fulfillments
from worker.flows.standard import confirm_refund, submit_refund
from worker.flows.step import Advance, Step, Wait
from worker.flows.voiding import confirm_void, void_payments
from worker.ledger.claims import Claim, StepCommit
from worker.ledger.refunds import Ledger
from worker.ledger.stores import Stores
from worker.observability.events import log_event
from worker.queue.delivery import Delivery
from worker.refund.reasons import reason_of
from worker.refund.record import Refund
from worker.steps import results as verdicts
from worker.steps.clock import boottime
from worker.steps.refused_key import judge
from worker.steps.retry import RetryPolicy
from worker.stores.keyring import Keyring, UnknownStore
from worker.stores.vault import Credentials, SealedShut
from worker.wix.client import ClientFactory, WixStore

#: What each transition looks at and does.
ACTIONS: Mapping[Transition, Callable[[Step], Advance | Wait]] = MappingProxyType(
    {
        Transition.ASSESS_ORDER: assess_order,
        Transition.UNFULFILL_ORDER: unfulfill_order,
        Transition.CANCEL_ORDER: cancel_order,
        Transition.VOID_PAYMENTS: void_payments,
        Transition.CONFIRM_VOID: confirm_void,
        Transition.RESTORE_FULFILLMENTS: restore_fulfillments,
        Transition.SUBMIT_REFUND: submit_refund,
        Transition.CONFIRM_REFUND: confirm_refund,
    }
)

#: An answer that is not as documented will hardly become so in a day: a person is asked then.
UNREADABLE_ATTEMPTS = 3
#: A step that runs longer asks for its lease before it changes anything (LEASE_CAP_MS is the end).
SURE_FOR_S = 60.0
#: How long a finished step goes on trying to write its result down while Redis is away.
SETTLE_PAUSES_S = (0.5, 1.0, 2.0, 4.0, 8.0)


@dataclass(frozen=True, kw_only=True)
class Steps:
    """Runs steps. Everything it needs is given, so that tests may give their own."""

    ledger: Ledger
    keyring: Keyring
    stores: Stores
    wix: ClientFactory
    settings: Settings
    retry: RetryPolicy
    random: Callable[[], float]
    is_surely_alive: Callable[[float], bool]
    """Whether this worker's heartbeat was never in doubt since that monotonic time."""
    at: Callable[[str], None] = field(default=lambda _: None)
    """Told every named place of a step: tests kill the program there, for real."""
    pause: Callable[[float], None] = time.sleep
    monotonic: Callable[[], float] = field(default=boottime)

    def run(self, transition: Transition, refund_id: str, delivery: Delivery) -> None:
        """Do one step and settle it.

        Raises:
            redis.RedisError: nothing is known to be written; the message must come again.
            LeaseLost: somebody else is at this order; nothing was written.
        """
        started = self.monotonic()
        self.at("before_claim")
        claim = self.ledger.claim(refund_id, transition, delivery)
        if claim.verdict != "claimed" or claim.refund is None:
            _tell_unclaimed(claim, transition)
            return
        self.at("after_intent")
        request = claim.refund.request
        structlog.contextvars.bind_contextvars(store_id=request.store_id, order_id=request.order_id)
        commit, event = self._with_key(transition, claim.refund, claim, delivery, started)
        self.at("after_call")
        event["duration_ms"] = round((self.monotonic() - started) * 1000)
        self.at("before_settle")
        verdict = self._commit(refund_id, claim, commit, delivery)
        self.at("after_settle")
        log_event(event.pop("event"), **event)
        if verdict == "suspended" and commit.suspension:
            log_event("store.suspended", **json.loads(commit.suspension["reason"]))

    def _with_key(
        self,
        transition: Transition,
        refund: Refund,
        claim: Claim,
        delivery: Delivery,
        since: float,
    ) -> verdicts.Verdict:
        """Do the step, if there is a usable key for the store."""
        if claim.disconnected:
            return verdicts.ended(transition, refund, None, Buried("store_disconnected"))
        try:
            store = self.keyring.credentials(refund.request.store_id, claim.sealed)
        except UnknownStore:
            return verdicts.ended(transition, refund, None, Buried("store_unknown"))
        except SealedShut:
            shut = reason_of(Buried("key_sealed_shut"))
            return verdicts.suspended(transition, refund, None, shut, "", self._probe_in_ms)
        wix = self._wix_for(store, refund, delivery, since)
        step = Step(refund=refund, wix=wix, now_ms=claim.now_ms, settings=self.settings)
        return self._do(transition, refund, step, claim.now_ms)

    @property
    def _probe_in_ms(self) -> int:
        return self.settings.probe_first_ms

    def _wix_for(
        self, store: Credentials, refund: Refund, delivery: Delivery, since: float
    ) -> WixStore:
        def guard() -> None:
            """Before every mutating call: a worker that was paused must not act on an old lease."""
            is_sure = self.is_surely_alive(since) and self.monotonic() - since < SURE_FOR_S
            if not is_sure and not self.ledger.still_holds(refund, delivery):
                raise LeaseLost(refund.refund_id)
            self.at("before_call")

        return self.wix.store(
            store.store_id,
            store.api_key,
            before_mutation=guard,
            consistent=str(refund.facts.get("consistent", "")),
        )

    def _do(
        self, transition: Transition, refund: Refund, step: Step, now_ms: int
    ) -> verdicts.Verdict:
        """Run the action; turn whatever comes of it into what is written and told."""
        try:
            result = ACTIONS[transition](step)
            if isinstance(result, Wait):
                return verdicts.waiting(transition, refund, step, result)
            return verdicts.advanced(transition, refund, step, result)
        except (LeaseLost, redis.RedisError):
            raise
        except Unauthorized as refusal:
            return self._refused(transition, refund, step, refusal)
        except Exception as error:  # noqa: BLE001 - a bug must neither lose nor double a refund
            if ending := _ending_of(error, refund):
                return verdicts.ended(transition, refund, step, ending)
            return verdicts.failed(transition, refund, step, error, self._next_try(refund, now_ms))

    def _refused(
        self, transition: Transition, refund: Refund, step: Step, refusal: Unauthorized
    ) -> verdicts.Verdict:
        """The key was refused: the store is suspended, or the dead letter names the missing box."""
        try:
            ending = judge(refusal, step, lambda: self.stores.worked(refund.request.store_id))
        except CallFailed as unclear:
            next_try = self._next_try(refund, step.now_ms)
            return verdicts.failed(transition, refund, step, unclear, next_try)
        if ending:
            return verdicts.ended(transition, refund, step, ending)
        why = reason_of(Buried("key_refused", refusal))
        return verdicts.suspended(
            transition, refund, step, why, refusal.endpoint, self._probe_in_ms
        )

    def _next_try(self, refund: Refund, now_ms: int) -> Callable[[int | None], int | None]:
        """In how many ms to try again, None when all tries are used up."""
        failing_for_ms = now_ms - (refund.failing_since_ms or now_ms)

        def in_ms(retry_after_ms: int | None) -> int | None:
            if self.retry.is_used_up(refund.attempt, failing_for_ms=failing_for_ms):
                return None
            return self.retry.wait_ms(refund.attempt, self.random, retry_after_ms=retry_after_ms)

        return in_ms

    def _commit(self, refund_id: str, claim: Claim, commit: StepCommit, delivery: Delivery) -> str:
        """Write the result down, once; what Wix did must not be forgotten for a short outage."""
        for pause_s in (*SETTLE_PAUSES_S, None):
            try:
                verdict = self.ledger.commit(refund_id, claim, commit, delivery)
                if not verdict:
                    raise LeaseLost(refund_id)
                return verdict
            except redis.RedisError as error:
                if pause_s is None:
                    raise
                log_event("worker.redis_lost", error=type(error).__name__)
                self.pause(pause_s)
        raise AssertionError("the last round returned or raised")


def _ending_of(error: Exception, refund: Refund) -> Rejected | Buried | None:
    """What ends a refund at once; None for what is tried again."""
    if isinstance(error, Rejected | Buried):
        return error
    if isinstance(error, Permanent):
        return Buried("refused_by_wix", error)
    if isinstance(error, Unreadable) and refund.attempt >= UNREADABLE_ATTEMPTS:
        return Buried("answer_unreadable", error)
    return None


def _tell_unclaimed(claim: Claim, transition: Transition) -> None:
    if claim.verdict == "refused" and claim.refund is not None:
        state: State = claim.refund.state
        try:
            check(state, transition)
        except TransitionError as refusal:
            redundant = isinstance(refusal, Redundant)
            event = "step.redundant" if redundant else "step.illegal"
            log_event(event, transition=transition.value, state=state.value)
        return
    name = "unknown_refund" if claim.verdict == "unknown" else claim.verdict
    log_event(f"step.{name}", transition=transition.value)
