"""The tables of the two flows, and `apply()`, which decides by them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from itertools import product

import pytest

from statemachine.diagram import mermaid
from statemachine.flows import (
    ACTIVE,
    BY_PERSON,
    ENDINGS,
    FLOWS,
    TERMINAL,
    Flow,
    State,
    Transition,
    flow_for,
    next_transition,
)
from statemachine.machine import Illegal, Redundant, apply, check, sources

CUTOFF = datetime(2024, 4, 22, tzinfo=UTC)
MICRO = timedelta(microseconds=1)
KATHMANDU = timezone(timedelta(hours=5, minutes=45))

EDGES = {
    (edge.source, edge.transition, target)
    for edges in FLOWS.values()
    for edge in edges
    for target in {*edge.targets, *ENDINGS}
}


@pytest.mark.parametrize(
    ("placed", "flow"),
    [
        (CUTOFF - MICRO, Flow.CANCELLATION),
        (CUTOFF, Flow.STANDARD),
        (CUTOFF + MICRO, Flow.STANDARD),
        ((CUTOFF - MICRO).astimezone(KATHMANDU), Flow.CANCELLATION),
        (CUTOFF.astimezone(KATHMANDU), Flow.STANDARD),
        (datetime(2024, 4, 22, 5, 44, 59, 999999, KATHMANDU), Flow.CANCELLATION),
        (datetime(2024, 4, 21, 20, 0, tzinfo=timezone(timedelta(hours=-4))), Flow.STANDARD),
    ],
)
def test_the_cutoff_is_exact_in_every_time_zone(placed: datetime, flow: Flow) -> None:
    """Strictly before the cutoff: cancellation. From the cutoff on: standard. As instants."""
    assert flow_for(placed, CUTOFF) is flow


@pytest.mark.parametrize("times", [(datetime(2024, 1, 1), CUTOFF), (CUTOFF, datetime(2024, 4, 22))])  # noqa: DTZ001 - naive on purpose
def test_a_naive_time_is_refused(times: tuple[datetime, datetime]) -> None:
    """Without a time zone the instant is not known, and the flow depends on it."""
    with pytest.raises(ValueError, match="has no time zone"):
        flow_for(*times)


@pytest.mark.parametrize(("state", "transition", "to"), sorted(product(State, Transition, State)))
def test_apply_allows_exactly_the_edges_of_the_tables(
    state: State, transition: Transition, to: State
) -> None:
    """All combinations of state, transition and target are tried."""
    if (state, transition, to) in EDGES:
        assert apply(state, transition, to) is to
        return
    with pytest.raises((Redundant, Illegal)):
        apply(state, transition, to)


@pytest.mark.parametrize(
    ("state", "transition", "error"),
    [
        (State.UNFULFILLED, Transition.ASSESS_ORDER, Redundant),
        (State.CANCELLED, Transition.CANCEL_ORDER, Redundant),
        (State.REFUNDED, Transition.CANCEL_ORDER, Redundant),
        (State.DEAD, Transition.SUBMIT_REFUND, Redundant),
        (State.REFUND_SUBMITTED, Transition.SUBMIT_REFUND, Redundant),
        (State.ACCEPTED, Transition.CANCEL_ORDER, Illegal),
        (State.REFUNDABLE, Transition.CANCEL_ORDER, Illegal),
        (State.REFUND_SUBMITTED, Transition.UNFULFILL_ORDER, Illegal),
        (State.VOIDED, Transition.CONFIRM_VOID, Redundant),
        (State.CANCELLED, Transition.RESTORE_FULFILLMENTS, Redundant),
        (State.UNFULFILLED, Transition.CONFIRM_REFUND, Redundant),
        (State.REFUND_AWAITED, Transition.SUBMIT_REFUND, Redundant),
        (State.REFUND_DUE, Transition.CANCEL_ORDER, Illegal),
        (State.REFUND_AWAITED, Transition.CANCEL_ORDER, Illegal),
    ],
)
def test_illegal_is_not_redundant(
    state: State, transition: Transition, error: type[Exception]
) -> None:
    """What has already happened is distinguished from what must never happen."""
    with pytest.raises(error, match=f"{transition} is .* in state {state}"):
        check(state, transition)


def test_a_transition_to_the_wrong_state_is_illegal() -> None:
    """The transition may start in this state, but may not lead there."""
    with pytest.raises(Illegal, match="assess_order to refunded is illegal in state accepted"):
        apply(State.ACCEPTED, Transition.ASSESS_ORDER, State.REFUNDED)


def test_an_edge_of_the_other_flow_is_illegal() -> None:
    """The flows share states: an order that can only be cancelled must not become refundable."""
    edge = (State.VOID_SUBMITTED, Transition.CONFIRM_VOID, State.REFUNDABLE)
    assert apply(*edge, flow=Flow.STANDARD) is State.REFUNDABLE
    with pytest.raises(Illegal):
        apply(*edge, flow=Flow.CANCELLATION)


def test_every_active_state_has_one_transition_due_and_no_other_has() -> None:
    """No state is a dead end by mistake, and nothing follows an end."""
    for state in State:
        assert (next_transition(state) is not None) == (state in ACTIVE)
    for transition in Transition:
        assert sources(transition)


def test_only_a_person_ends_a_refund_as_resolved_discarded_or_called_off() -> None:
    """No transition leads there; a dead letter is closed, a running refund is called off."""
    assert not {target for _, _, target in EDGES} & set(BY_PERSON)
    assert set(BY_PERSON) < TERMINAL
    assert BY_PERSON[State.RESOLVED] == BY_PERSON[State.DISCARDED] == {State.DEAD}
    assert BY_PERSON[State.CALLED_OFF] < ACTIVE
    # Wix has accepted something in these.
    sent = {State.VOID_SUBMITTED, State.REFUND_SUBMITTED, State.REFUND_AWAITED, State.RESTORING}
    assert ACTIVE - BY_PERSON[State.CALLED_OFF] == sent


def test_every_active_state_can_reach_an_end() -> None:
    """A good end is reachable from every state but `restoring`, which ends as a dead letter."""
    for state in ACTIVE - {State.RESTORING}:
        seen, front = set(), {state}
        while front:
            seen |= front
            front = {to for source, _, to in EDGES if source in front} - seen
        assert seen & TERMINAL - {State.REJECTED}


def test_the_diagram_shows_every_edge() -> None:
    """Edges to `rejected` and `dead` that every transition has are left out; no others are."""
    for flow, edges in FLOWS.items():
        diagram = mermaid(flow)
        for edge in edges:
            for target in edge.targets:
                assert f"    {edge.source} --> {target}: {edge.transition}\n" in diagram
