"""States, transitions and flows: the data that the rest of this package reads."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple


class State(StrEnum):
    """Where a refund stands."""

    ACCEPTED = "accepted"
    """We accepted the job; we have not read its order yet."""
    FULFILLED = "fulfilled"
    """The order was placed before the cutoff and has fulfillments to remove."""
    UNFULFILLED = "unfulfilled"
    """The order was placed before the cutoff and can be cancelled."""
    CANCELLED = "cancelled"
    """The order is cancelled: the end of the cancellation flow."""
    AUTHORIZED = "authorized"
    """A payment of the order is authorized but not captured: it must be voided, not refunded."""
    VOID_SUBMITTED = "void_submitted"
    """Wix accepted our void; the authorization does not show as voided yet."""
    VOIDED = "voided"
    """The authorization is void, and nothing else was paid: an end of the standard flow."""
    RESTORING = "restoring"
    """Wix refused the cancel for good: we recreate the fulfillments that we removed."""
    REFUNDABLE = "refundable"
    """The order was placed on or after the cutoff; the refund call is due."""
    REFUND_SUBMITTED = "refund_submitted"
    """Wix accepted our refund; the payment provider has not settled it yet."""
    REFUND_DUE = "refund_due"
    """The order was placed before the cutoff, but Wix could refund it: the refund call is due."""
    REFUND_AWAITED = "refund_awaited"
    """Wix accepted that refund; the order is cancelled once the provider has settled it."""
    REFUNDED = "refunded"
    """The provider paid: the end of the standard flow."""
    REJECTED = "rejected"
    """Wix or the rules refused for good: an answer for upstream."""
    DEAD = "dead"
    """A person must decide: a dead letter."""
    RESOLVED = "resolved"
    """A dead letter that a person has settled elsewhere."""
    DISCARDED = "discarded"
    """A dead letter that a person has given up."""
    CALLED_OFF = "called_off"
    """A person has cancelled the refund before it changed anything at Wix."""

    @classmethod
    def _missing_(cls, value: object) -> State:
        """Return a state that only a newer version knows; no transition is due in it."""
        state = str.__new__(cls, value)
        state._name_, state._value_ = str(value).upper(), str(value)
        return state


class Transition(StrEnum):
    """A named edge. Its actor, the log field and the tests use the same name."""

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
    REFUND_THEN_CANCEL = "refund_then_cancel"


class Edge(NamedTuple):
    """From `source`, `transition` leads to one of `targets`."""

    source: State
    transition: Transition
    targets: tuple[State, ...]


#: The states in which an order of the cancellation flow may turn out to be.
_ORDER_STATES = (State.FULFILLED, State.UNFULFILLED, State.CANCELLED)

#: Orders placed before the cutoff: unfulfill if necessary, then cancel.
CANCELLATION: tuple[Edge, ...] = (
    Edge(State.ACCEPTED, Transition.ASSESS_ORDER, (*_ORDER_STATES, State.AUTHORIZED)),
    Edge(State.AUTHORIZED, Transition.VOID_PAYMENTS, (State.VOID_SUBMITTED, *_ORDER_STATES)),
    Edge(State.VOID_SUBMITTED, Transition.CONFIRM_VOID, _ORDER_STATES),
    Edge(State.FULFILLED, Transition.UNFULFILL_ORDER, (State.UNFULFILLED, State.CANCELLED)),
    # Back to fulfilled: the merchant may fulfill the order again between our two steps.
    Edge(
        State.UNFULFILLED,
        Transition.CANCEL_ORDER,
        (State.CANCELLED, State.FULFILLED, State.AUTHORIZED, State.RESTORING),
    ),
    # Always a dead letter: the order is as it was before, and not refunded.
    Edge(State.RESTORING, Transition.RESTORE_FULFILLMENTS, (State.DEAD,)),
)

#: Orders placed on or after the cutoff: Wix refunds them, asynchronously.
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

#: Orders placed before the cutoff that Wix could refund, if the settings say so: the transitions of
#: the standard flow come first. From the states of the order on, the flow is the cancellation.
REFUND_THEN_CANCEL: tuple[Edge, ...] = (
    Edge(State.ACCEPTED, Transition.ASSESS_ORDER, (State.REFUND_DUE,)),
    Edge(
        State.REFUND_DUE,
        Transition.SUBMIT_REFUND,
        # The merchant may have refunded it meanwhile: then nothing is left but to cancel.
        (State.REFUND_AWAITED, *_ORDER_STATES, State.AUTHORIZED),
    ),
    Edge(State.REFUND_AWAITED, Transition.CONFIRM_REFUND, (*_ORDER_STATES, State.AUTHORIZED)),
)

FLOWS: Mapping[Flow, tuple[Edge, ...]] = MappingProxyType(
    {
        Flow.CANCELLATION: CANCELLATION,
        Flow.STANDARD: STANDARD,
        Flow.REFUND_THEN_CANCEL: REFUND_THEN_CANCEL,
    }
)

#: The ends that only a person can bring about, and the states in which they may. A person may also
#: replay a dead letter, which then continues in the state in which it died.
BY_PERSON: Mapping[State, frozenset[State]] = MappingProxyType(
    {
        State.RESOLVED: frozenset({State.DEAD}),
        State.DISCARDED: frozenset({State.DEAD}),
        # In these, nothing may have been changed at Wix yet.
        State.CALLED_OFF: frozenset(
            {
                State.ACCEPTED,
                State.FULFILLED,
                State.UNFULFILLED,
                State.AUTHORIZED,
                State.REFUNDABLE,
                State.REFUND_DUE,
            }
        ),
    }
)

#: Nothing follows these.
TERMINAL: frozenset[State] = frozenset(
    {State.CANCELLED, State.REFUNDED, State.VOIDED, State.REJECTED, *BY_PERSON}
)

#: The states in which a transition is due.
ACTIVE: frozenset[State] = frozenset(State) - TERMINAL - {State.DEAD}

#: Every transition may also end in one of these.
ENDINGS: frozenset[State] = frozenset({State.REJECTED, State.DEAD})


def flow_for(order_placed_at: datetime, cutoff: datetime) -> Flow:
    """Return the flow of an order: cancellation strictly before the cutoff, standard from it on.

    Both times must have a time zone; they are compared as instants.

    Raises:
        ValueError: a time has no time zone, so its instant is not known.
    """
    for name, moment in (("order_placed_at", order_placed_at), ("cutoff", cutoff)):
        if moment.utcoffset() is None:
            raise ValueError(f"{name} has no time zone: {moment.isoformat()}")
    return Flow.CANCELLATION if order_placed_at < cutoff else Flow.STANDARD


#: In the states that several flows have, the same transition is due.
_NEXT: Mapping[State, Transition] = MappingProxyType(
    {edge.source: edge.transition for edges in FLOWS.values() for edge in edges}
)


def next_transition(state: State) -> Transition | None:
    """Return the transition that is due in *state*, None if there is none."""
    return _NEXT.get(state)
