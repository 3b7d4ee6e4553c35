"""States, transitions and the two flows, as data that all else in this package reads."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple


class State(StrEnum):
    """Where a refund stands."""

    ACCEPTED = "accepted"
    """We own it; nothing is known of its order yet."""
    FULFILLED = "fulfilled"
    """The order, placed before the cutoff, has fulfillments to remove."""
    UNFULFILLED = "unfulfilled"
    """The order, placed before the cutoff, can be cancelled."""
    CANCELLED = "cancelled"
    """The order is cancelled. The end of the cancellation flow."""
    AUTHORIZED = "authorized"
    """A payment of the order is authorized but not captured: no money to refund, one to void."""
    VOID_SUBMITTED = "void_submitted"
    """Wix took our void; the authorization does not show as voided yet."""
    VOIDED = "voided"
    """The authorization is void, and nothing was paid beside it. An end of the standard flow."""
    RESTORING = "restoring"
    """Wix refused the cancel for good: what we unfulfilled is made fulfilled again."""
    REFUNDABLE = "refundable"
    """The order, placed on or after the cutoff, waits for its refund call."""
    REFUND_SUBMITTED = "refund_submitted"
    """Wix took our refund; the payment provider has not settled it yet."""
    REFUNDED = "refunded"
    """The provider paid. The end of the standard flow."""
    REJECTED = "rejected"
    """Wix or the rules said no for good: an answer for upstream."""
    DEAD = "dead"
    """A person must decide: a dead letter."""


class Transition(StrEnum):
    """A named edge: also the name of the actor that does it and of the log field."""

    ASSESS_ORDER = "assess_order"
    UNFULFILL_ORDER = "unfulfill_order"
    CANCEL_ORDER = "cancel_order"
    VOID_PAYMENTS = "void_payments"
    CONFIRM_VOID = "confirm_void"
    RESTORE_FULFILLMENTS = "restore_fulfillments"
    SUBMIT_REFUND = "submit_refund"
    CONFIRM_REFUND = "confirm_refund"


class Flow(StrEnum):
    """The transitions that apply to an order."""

    CANCELLATION = "cancellation"
    STANDARD = "standard"


class Edge(NamedTuple):
    """From `source`, `transition` may lead to any of `targets`."""

    source: State
    transition: Transition
    targets: tuple[State, ...]


#: Where an order of the cancellation flow may turn out to stand, whatever we were at.
_STANDS = (State.FULFILLED, State.UNFULFILLED, State.CANCELLED)

#: Orders placed before the cutoff: made unfulfilled when they are not, then cancelled.
CANCELLATION: tuple[Edge, ...] = (
    Edge(State.ACCEPTED, Transition.ASSESS_ORDER, (*_STANDS, State.AUTHORIZED)),
    Edge(State.AUTHORIZED, Transition.VOID_PAYMENTS, (State.VOID_SUBMITTED, *_STANDS)),
    Edge(State.VOID_SUBMITTED, Transition.CONFIRM_VOID, _STANDS),
    Edge(State.FULFILLED, Transition.UNFULFILL_ORDER, (State.UNFULFILLED, State.CANCELLED)),
    # Back to fulfilled: the merchant may fulfill again between our two steps.
    Edge(
        State.UNFULFILLED,
        Transition.CANCEL_ORDER,
        (State.CANCELLED, State.FULFILLED, State.AUTHORIZED, State.RESTORING),
    ),
    # Always ends with a person: the order is as it was, and not refunded.
    Edge(State.RESTORING, Transition.RESTORE_FULFILLMENTS, (State.DEAD,)),
)

#: Orders placed on or after the cutoff: refunded by Wix, asynchronously.
STANDARD: tuple[Edge, ...] = (
    Edge(State.ACCEPTED, Transition.ASSESS_ORDER, (State.REFUNDABLE,)),
    Edge(State.REFUNDABLE, Transition.SUBMIT_REFUND, (State.REFUND_SUBMITTED, State.AUTHORIZED)),
    Edge(
        State.AUTHORIZED,
        Transition.VOID_PAYMENTS,
        (State.VOID_SUBMITTED, State.VOIDED, State.REFUNDABLE),
    ),
    Edge(State.VOID_SUBMITTED, Transition.CONFIRM_VOID, (State.VOIDED, State.REFUNDABLE)),
    Edge(State.REFUND_SUBMITTED, Transition.CONFIRM_REFUND, (State.REFUNDED,)),
)

FLOWS: Mapping[Flow, tuple[Edge, ...]] = MappingProxyType(
    {Flow.CANCELLATION: CANCELLATION, Flow.STANDARD: STANDARD}
)

#: Nothing follows these.
TERMINAL: frozenset[State] = frozenset(
    {State.CANCELLED, State.REFUNDED, State.VOIDED, State.REJECTED}
)

#: The work is not over: a transition is due.
ACTIVE: frozenset[State] = frozenset(State) - TERMINAL - {State.DEAD}

#: Any active state may end here, whatever the transition was.
ENDINGS: frozenset[State] = frozenset({State.REJECTED, State.DEAD})


def flow_for(order_placed_at: datetime, cutoff: datetime) -> Flow:
    """Choose an order's flow: cancellation strictly before the cutoff, standard on or after it.

    Both times must be aware; they are compared as instants, so the time zone does not matter.

    Raises:
        ValueError: a time is naive, so that the instant is not known.
    """
    for name, moment in (("order_placed_at", order_placed_at), ("cutoff", cutoff)):
        if moment.utcoffset() is None:
            raise ValueError(f"{name} has no time zone: {moment.isoformat()}")
    return Flow.CANCELLATION if order_placed_at < cutoff else Flow.STANDARD


def next_transition(state: State) -> Transition | None:
    """Name the transition that is due in *state*, None when nothing is."""
    for edges in FLOWS.values():
        for edge in edges:
            if edge.source is state:
                return edge.transition
    return None
