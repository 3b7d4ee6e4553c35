"""The events that upstream reads: CloudEvents 1.0 in one Redis stream.

The script that commits a change appends its event. `(source, id)` is the refund and its version, so
a repeated event can be dropped. We never trim the stream: upstream may, once it has read (XTRIM).
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Literal

from statemachine.flows import State
from worker.observability.compact import compact, harmless_json, redacted_json
from worker.observability.redaction import redact
from worker.refund.approvals import Approval
from worker.refund.facts import Facts
from worker.refund.money import minor_units, money, with_minor_units
from worker.refund.public_status import Status, status_after
from worker.refund.record import Refund
from worker.refund.request import RefundRequest
from worker.upstream.outcomes import read

__all__ = [
    "KIND_OF", "STORE_TYPES", "TYPES", "Kind", "about", "approval_needed", "of_store", "outcome",
    "outcome_of_end", "overpaid", "read",
]  # fmt: skip

Kind = Literal[
    "accepted",
    "finished",
    "rejected",
    "dead_lettered",
    "replayed",
    "reversed",
    "settled_again",
    "overpaid",
    "resolved",
    "discarded",
    "called_off",
    "progress",
    "approval_needed",
    "observed",
    "cancelled_by_merchant",
]

#: The states that are reported to upstream, and the kind of event.
KIND_OF: Mapping[State, Kind] = MappingProxyType(
    {
        State.CANCELLED: "finished",
        State.REFUNDED: "finished",
        State.VOIDED: "finished",
        State.REJECTED: "rejected",
        State.DEAD: "dead_lettered",
        State.RESOLVED: "resolved",
        State.DISCARDED: "discarded",
        State.CALLED_OFF: "called_off",
    }
)


#: The CloudEvents type of each kind of event about a refund ...
TYPES: Mapping[Kind, str] = MappingProxyType(
    {
        "accepted": "refund.accepted",
        "finished": "refund.finished",
        "rejected": "refund.rejected",
        "dead_lettered": "refund.dead_lettered",
        "replayed": "refund.replayed",
        "reversed": "refund.reversed",
        "settled_again": "refund.settled_again",
        "overpaid": "refund.overpaid",
        "resolved": "refund.resolved",
        "discarded": "refund.discarded",
        "called_off": "refund.called_off",
        "progress": "refund.progress",
        "approval_needed": "refund.approval_needed",
        # What merchants do themselves.
        "observed": "refund.observed",
        "cancelled_by_merchant": "order.cancelled_by_merchant",
    }
)
#: ... and about a store.
STORE_TYPES: Mapping[str, str] = MappingProxyType(
    {
        "connected": "store.connected",
        "suspended": "store.suspended",
        "resumed": "store.resumed",
        "disconnected": "store.disconnected",
        "paused": "store.paused",
    }
)


#: The public status of a refund after each kind of event that does not say it itself.
STATUS_OF: Mapping[Kind, Status] = MappingProxyType(
    {
        "rejected": "failed",
        "dead_lettered": "needs_attention",
        "approval_needed": "needs_attention",
        "overpaid": "needs_attention",
        "resolved": "external",
        "discarded": "failed",
        "called_off": "cancelled",
    }
)


def outcome(kind: Kind, step: str, **content: Any) -> dict[str, str]:
    """Return what a script needs to write one event; *step* names what caused it.

    Secrets are masked, but not in `metadata`, which is the caller's.
    """
    told = {"status": STATUS_OF.get(kind, "processing"), **content}
    data = harmless_json(told)
    if data is None:
        # Both are the caller's; what a trace parent looks like is checked.
        kept = {name: content[name] for name in ("metadata", "traceparent") if name in content}
        data = compact(redact(told) | kept)
    return {"type": TYPES[kind], "step": step, "data": data}


def of_store(
    kind: Literal["connected", "suspended", "resumed", "disconnected", "paused"],
    store_id: str | None,
    **content: Any,
) -> dict[str, str]:
    """Return what a script needs to write one event about a store, or about all (None)."""
    return {
        "type": STORE_TYPES[kind],
        "step": kind,
        "data": redacted_json({"store_id": store_id, **content}),
    }


def about(request: RefundRequest) -> dict[str, Any]:
    """Return what each event says about its refund, so that upstream can find it again."""
    return {
        "refund_id": request.refund_id,
        "store_id": request.store_id,
        "order_id": request.known_order_id,
        "requested_by": request.requested_by,
        "metadata": request.metadata,
        **{name: value for name in REPEATED if (value := getattr(request, name))},
    }


#: Fields of a job that each event repeats if they were given.
REPEATED = ("order_number", "reason_code", "traceparent", "callback")


def outcome_of_end(
    refund: Refund, to: State, step: str, facts: Facts, **more: Any
) -> dict[str, str] | None:
    """Return the event of a refund that ends in *to*; None if that state is not reported."""
    if to not in KIND_OF:
        return None
    content = about(refund.request) | {"state": str(to), "flow": refund.flow or None} | more
    if KIND_OF[to] == "finished":
        content |= {"effect": facts.effect, "amount": None, "split": split_of(facts)}
        content |= {"status": status_after(to, facts)} | _paid_back(facts)
    if facts.refund_amount:
        content["amount"] = money(facts.refund_amount, facts.currency)
        content["payments"] = payments_of(facts)
        if facts.not_refunded:
            missing = (one.known() for one in facts.not_refunded)
            content["not_refunded"] = with_minor_units(missing, facts.currency)
    return outcome(KIND_OF[to], step, **content)


def _paid_back(facts: Facts) -> dict[str, Any]:
    """Return who has paid and paid back; None for what is not known."""
    return {
        "moved_by_wix": money(facts.moved_by_wix, facts.currency),
        "paid": paid_of(facts),
        "to_pay_back": money(facts.to_pay_back, facts.currency),
    }


def progress(refund: Refund, to: State, step: str) -> dict[str, str]:
    """Return the event of a refund that has come to its next state, and goes on."""
    return outcome(
        "progress", step, **about(refund.request), state=str(to), flow=refund.flow or None
    )


def paid_of(facts: Facts) -> list[dict[str, Any]] | None:
    """Return what the order had taken; None if it is not known."""
    if facts.paid is None:
        return None
    return with_minor_units((one.known() for one in facts.paid), facts.currency)


def payments_of(facts: Facts) -> list[dict[str, Any]]:
    """Return the parts of the refund, each with the provider that took the payment."""
    providers = {one.payment_id: one.provider or None for one in facts.paid or ()}
    parts = with_minor_units((part.known() for part in facts.payments), facts.currency)
    return [part | {"provider": providers.get(part["payment_id"])} for part in parts]


def split_of(facts: Facts) -> dict[str, Any] | None:
    """Return what the refunded amount is made of; None if Wix does not tell.

    What Wix calculated says nothing about a refund of another amount.
    """
    split = facts.split
    if split is None or not facts.refund_amount:
        return None
    is_whole = Decimal(split.total) == Decimal(facts.refund_amount)
    return split.public(facts.currency) if is_whole else None


def overpaid(request: RefundRequest, facts: Facts) -> dict[str, str]:
    """Return the event of a refund that Wix shows more than once, with what to recover."""
    found = facts.overpaid
    if found is None:
        raise AssertionError("nothing was paid twice")
    amount = money(found.amount, facts.currency)
    ids = list(found.wix_refund_ids)
    return outcome(
        "overpaid", "paid_twice", **about(request), to_recover=amount, wix_refund_ids=ids
    )


def approval_needed(
    request: RefundRequest, approval: Approval, reason: Mapping[str, Any]
) -> dict[str, str]:
    """Return the event of a refund that waits for people to approve it."""
    return outcome(
        "approval_needed",
        "needs_approval",
        **about(request),
        amount={
            "amount": approval.amount,
            "currency": approval.currency or None,
            "minor_units": minor_units(approval.amount, approval.currency),
        },
        limits=list(approval.limits),
        approvals_needed=approval.people,
        reason=dict(reason),
    )
