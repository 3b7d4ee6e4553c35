"""What the API shows of a refund: what upstream may rely on, and nothing about how we work."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from statemachine.flows import State
from worker.refund.event import Money, Payment
from worker.refund.facts import NO_FACTS
from worker.refund.public_status import Status, status_after, status_of
from worker.refund.record import Refund
from worker.refund.request import RefundRequest
from worker.refund.tombstone import Tombstone

#: The states in which a reason is an answer; before, it says why a step is tried again.
_WITH_REASON = frozenset({State.REJECTED, State.DEAD, State.RESOLVED, State.DISCARDED})


class RefundView(BaseModel):
    """One refund, as it is now."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    refund_id: str = Field(examples=["rf-2024-000123"])
    """The caller's idempotency key."""
    store_id: str
    """The Wix site id."""
    order_id: str | None
    """The Wix order id; null until the order of a job with a number is found."""
    status: Status
    """Where it stands, in words that stay; see worker/refund/README.md."""
    state: str = Field(examples=["refund_submitted"])
    """Where it stands in detail; there may be more states in later versions."""
    flow: str | None
    """Whether the order is cancelled or gets a standard refund; null if that is not known yet."""
    effect: str | None
    """What the refund did; null if it is not finished."""
    amount: Money | None
    """What was refunded; null if nothing was, or not yet."""
    moved_by_wix: Money | None
    """What Wix returned; null if that is not known."""
    to_pay_back: Money | None
    """What is left for somebody else to return; null if that is not known."""
    payments: list[Payment]
    """The payments of the refund."""
    reason: dict[str, Any] | None
    """Why it was rejected or needs a person, with a `reason` code."""
    requested_by: str
    """What the job says."""
    metadata: dict[str, str]
    """The caller's own data."""
    accepted_at: datetime | None
    """When it was accepted; null if it finished long ago, and only its end is known."""


class RefundList(BaseModel):
    """Refunds of one order."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    refunds: list[RefundView]
    """Sorted by their ids."""


def view_of(refund: Refund) -> RefundView:
    """Return what is shown of a refund."""
    facts, request = refund.facts, refund.request

    def money(amount: str) -> Money | None:
        return Money(amount=amount, currency=facts.currency or None) if amount else None

    return RefundView(
        refund_id=refund.refund_id,
        store_id=request.store_id,
        order_id=request.known_order_id,
        status=status_of(refund),
        state=refund.state.value,
        flow=refund.flow or None,
        effect=facts.effect or None,
        amount=money(facts.refund_amount),
        moved_by_wix=money(facts.moved_by_wix),
        to_pay_back=money(facts.to_pay_back),
        payments=[Payment.model_validate(part.known()) for part in facts.payments],
        reason=(dict(refund.reason) or None) if refund.state in _WITH_REASON else None,
        requested_by=request.requested_by,
        metadata=request.metadata,
        accepted_at=datetime.fromtimestamp(refund.accepted_at_ms / 1000, UTC),
    )


def view_of_end(request: RefundRequest, left: Tombstone) -> RefundView:
    """Return what is shown of a refund that finished so long ago that only its end is known."""
    is_refunded = left.state is State.REFUNDED and left.amount
    amount = Money(amount=left.amount, currency=left.currency or None) if is_refunded else None
    return RefundView(
        refund_id=request.refund_id,
        store_id=request.store_id,
        order_id=request.known_order_id,
        status=status_after(left.state, NO_FACTS),
        state=left.state.value,
        flow=None,
        effect=None,
        amount=amount,
        moved_by_wix=None,
        to_pay_back=None,
        payments=[],
        reason=None,
        requested_by=request.requested_by,
        metadata=request.metadata,
        accepted_at=None,
    )
