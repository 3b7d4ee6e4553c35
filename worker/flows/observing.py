"""What a merchant did to an order: refunds without our mark, a cancel that is not ours."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from statemachine.flows import ACTIVE, Flow, State
from worker.flows.amounts import rounded
from worker.flows.own_refunds import carries_any_mark, carries_mark, facts_of
from worker.flows.paid_back import left_of
from worker.refund.facts import NO_FACTS, Facts, RefundedPayment
from worker.refund.public_status import Status, status_after
from worker.refund.record import Refund
from worker.wix.billing import Transactions, WixRefund
from worker.wix.changes import ChangedOrder

#: The statuses in which a part of a refund stays. W53.
_SETTLED = frozenset({"SUCCEEDED", "FAILED"})
#: A refund of ours in one of these states has not cancelled its order, and never will.
_NOT_CANCELLED = frozenset(
    {State.REFUNDED, State.VOIDED, State.REJECTED, State.CALLED_OFF, State.DISCARDED}
)


class Act(NamedTuple):
    """Something that was done to an order."""

    key: str
    """What it is remembered by: "refund:ID", or "cancel:ORDER"."""
    happened_at: datetime | None
    facts: Facts = NO_FACTS
    status: Status | None = None
    """None if it is ours. That is remembered, because our record of it may be forgotten soon."""


class Unclear(Exception):
    """Whether the merchant did it, or what it is, cannot be said yet."""


@dataclass(frozen=True)
class Watched:
    """An order that has changed, with what a look knows about it."""

    order: ChangedOrder
    transactions: Transactions
    ours: Callable[[], Sequence[Refund]]
    """Reads our refunds of the order, after Wix's answer: an intent is written before its call."""
    is_seen: bool
    """Whether an earlier look has seen it, and could not say."""
    is_last_look: bool
    """Whether no look comes after this one if it cannot say, either."""

    def refunds(self) -> list[WixRefund]:
        """Return the refunds without a complete mark, of which at least a part was not refused."""
        return [
            one
            for one in self.transactions.refunds
            if not carries_any_mark(one.reason) and set(one.statuses) != {"FAILED"}
        ]

    def _is_ours(self, refund: WixRefund) -> bool:
        return any(
            own.facts.wix_refund_id == refund.id or carries_mark(own, refund.reason)
            for own in self.ours()
        )

    def refund_act(self, refund: WixRefund) -> Act:
        """Return a refund as upstream is told about it.

        Raises:
            Unclear: it may be ours, or a part of it is not settled.
        """
        key = f"refund:{refund.id}"
        if self._is_ours(refund):
            return Act(key, refund.created_date)
        if any(_may_have_refunded(own) for own in self.ours()):
            raise Unclear("a call of ours may have made it")
        is_settled = set(refund.statuses) <= _SETTLED
        if not is_settled and not self.is_last_look:
            raise Unclear("it is not settled")
        parts = [one for one in facts_of(refund).payments if one.status != "FAILED"]
        amount, recorded = _sum(parts), _sum([part for part in parts if part.external])
        facts = left_of(self.transactions, self.order.currency) | facts_of(refund)
        facts |= Facts(
            currency=self.order.currency,
            refund_amount=f"{amount:f}",
            moved_by_wix=f"{rounded(amount - recorded, self.order.currency):f}",
            to_pay_back=f"{rounded(recorded, self.order.currency):f}",
        )
        status: Status = status_after(State.REFUNDED, facts) if is_settled else "processing"
        return Act(key, refund.created_date, facts, status)

    def cancel_act(self) -> Act:
        """Return the cancellation of the order as upstream is told about it.

        Raises:
            Unclear: it may be ours, or this is the first look that sees it: a refund that was made
                with it may not be listed yet, and what is to be paid back depends on it.
        """
        cancelling = [own for own in self.ours() if own.flow == Flow.CANCELLATION]
        if any(own.state in ACTIVE or own.state is State.DEAD for own in cancelling):
            raise Unclear("a refund of ours is to cancel the order")
        if any(own.state not in _NOT_CANCELLED for own in cancelling):
            return Act(f"cancel:{self.order.id}", self.order.cancelled_at)
        if not self.is_seen:
            raise Unclear("it was seen only once")
        facts = left_of(self.transactions, self.order.currency)
        facts |= Facts(currency=self.order.currency)
        status = status_after(State.CANCELLED, facts)
        return Act(f"cancel:{self.order.id}", self.order.cancelled_at, facts, status)


def acts_of(watched: Watched, since_ms: int) -> tuple[list[Act], str]:
    """Return what was done to an order since a moment, and why that may not be all."""
    acts, why = [], ""
    for refund in watched.refunds():
        if _is_since(refund.created_date or watched.order.updated_date, since_ms):
            try:
                acts.append(watched.refund_act(refund))
            except Unclear as unclear:
                why = f"refund {refund.id}: {unclear}"
    cancelled_at = watched.order.cancelled_at or watched.order.updated_date
    if watched.order.is_cancelled and _is_since(cancelled_at, since_ms):
        try:
            acts.append(watched.cancel_act())
        except Unclear as unclear:
            why = f"cancel: {unclear}"
    return acts, why


def _is_since(moment: datetime, since_ms: int) -> bool:
    return moment.timestamp() * 1000 >= since_ms


def _may_have_refunded(ours: Refund) -> bool:
    """Whether a call of ours has an unknown effect, which may be a refund without our mark."""
    return ours.intent_at_ms > 0 or ours.facts.unclear_sends > 0


def _sum(parts: Sequence[RefundedPayment]) -> Decimal:
    return sum((Decimal(part.amount) for part in parts if part.amount), Decimal(0))
