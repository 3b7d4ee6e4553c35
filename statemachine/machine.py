"""Decide what may follow what: one `transitions.Machine` for each flow, built from the tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType

from transitions import EventData, Machine, MachineError

from statemachine.flows import ACTIVE, ENDINGS, FLOWS, Flow, State, Transition


class TransitionError(Exception):
    """The transition is not possible in this state."""

    answer = "not possible"

    def __init__(self, state: State, transition: Transition, to: State | None = None) -> None:
        self.state = state
        self.transition = transition
        self.to = to
        aim = f" to {to}" if to else ""
        super().__init__(f"{transition}{aim} is {self.answer} in state {state}")


class Redundant(TransitionError):
    """It has already happened, or the refund has ended: report it and continue."""

    answer = "redundant"


class Illegal(TransitionError):
    """The tables do not allow it: refuse."""

    answer = "illegal"


@dataclass
class _Cursor:
    """The model that a machine moves. Each call makes its own, so threads share nothing."""

    state: str
    to: str


def _leads_there(event: EventData) -> bool:
    """Select, of the edges with this name, the one that leads to the wanted state."""
    cursor, transition = event.model, event.transition
    return isinstance(cursor, _Cursor) and transition is not None and transition.dest == cursor.to


def _build(flow: Flow) -> Machine:
    machine = Machine(
        model=None,
        states=[state.value for state in State],
        initial=None,
        auto_transitions=False,
        send_event=True,
    )
    for edge in FLOWS[flow]:
        # Each transition can also end the refund.
        for target in dict.fromkeys((*edge.targets, *sorted(ENDINGS))):
            machine.add_transition(
                edge.transition.value, edge.source.value, target.value, conditions=_leads_there
            )
    return machine


_MACHINES: Mapping[Flow, Machine] = MappingProxyType({flow: _build(flow) for flow in Flow})


def _sources(transition: Transition) -> tuple[State, ...]:
    found = [
        State(edge.source)
        for machine in _MACHINES.values()
        for edge in machine.get_transitions(trigger=transition.value)
    ]
    return tuple(dict.fromkeys(found))


_SOURCES = MappingProxyType({transition: _sources(transition) for transition in Transition})


def sources(transition: Transition) -> tuple[State, ...]:
    """Return the states in which *transition* may start, in any flow."""
    return _SOURCES[transition]


def _reachable_after(transition: Transition) -> frozenset[State]:
    """Return the states that can be reached once *transition* has happened."""
    seen: set[State] = set()
    for edges in FLOWS.values():
        front = {to for edge in edges if edge.transition is transition for to in edge.targets}
        while front:
            seen |= front
            front = {to for edge in edges if edge.source in front for to in edge.targets} - seen
    return frozenset(seen)


_AFTER = MappingProxyType({transition: _reachable_after(transition) for transition in Transition})


def check(state: State, transition: Transition) -> None:
    """Check that *transition* may start in *state*.

    Raises:
        Redundant: it has already happened, or the refund has ended.
        Illegal: no flow has this transition in this state.
    """
    if state in sources(transition):
        return
    if state not in ACTIVE or state in _AFTER[transition]:
        raise Redundant(state, transition)
    raise Illegal(state, transition)


def apply(state: State, transition: Transition, to: State, *, flow: Flow | None = None) -> State:
    """Move from *state* to *to* by *transition*; return the new state.

    Without *flow*, because the order is not assessed yet, an edge of any flow is accepted.

    Raises:
        Redundant: it has already happened, or the refund has ended.
        Illegal: the flow has no such edge.
    """
    if moved := _moved(state, transition, to, flow):
        return moved
    check(state, transition)
    raise Illegal(state, transition, to)


@cache
def _moved(state: State, transition: Transition, to: State, flow: Flow | None) -> State | None:
    """Ask the machines; None if they refuse. The tables never change, so one answer is enough."""
    for machine in [_MACHINES[flow]] if flow else _MACHINES.values():
        cursor = _Cursor(state.value, to.value)
        try:
            # The cursor is not one of the machine's models, so no list grows and no lock is needed.
            if machine.events[transition.value].trigger(cursor):
                return State(cursor.state)
        except (MachineError, KeyError):
            continue  # This flow does not have the transition, or not in this state.
    return None
