"""Decide what may follow what: one `transitions.Machine` for each flow, built from the tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from transitions import EventData, Machine, MachineError

from statemachine.flows import ACTIVE, ENDINGS, FLOWS, Flow, State, Transition


class TransitionError(Exception):
    """A transition that may not happen now."""

    verdict = "not possible"

    def __init__(self, state: State, transition: Transition, to: State | None = None) -> None:
        self.state = state
        self.transition = transition
        self.to = to
        aim = f" to {to}" if to else ""
        super().__init__(f"{transition}{aim} is {self.verdict} in state {state}")


class Redundant(TransitionError):
    """It has happened already, or the refund has ended: report it and continue."""

    verdict = "redundant"


class Illegal(TransitionError):
    """The tables do not allow it: refuse."""

    verdict = "illegal"


@dataclass
class _Cursor:
    """What a machine moves. One is made for each question, so threads share nothing."""

    state: str
    to: str


def _leads_there(event: EventData) -> bool:
    """Of the edges with the same name, choose the one that leads where the step wants to go."""
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
    known = [
        State(edge.source)
        for machine in _MACHINES.values()
        for edge in machine.get_transitions(trigger=transition.value)
    ]
    return tuple(dict.fromkeys(known))


_SOURCES = MappingProxyType({transition: _sources(transition) for transition in Transition})


def sources(transition: Transition) -> tuple[State, ...]:
    """List the states in which *transition* may start in any flow."""
    return _SOURCES[transition]


def _behind(transition: Transition) -> frozenset[State]:
    """List the states that can be reached once *transition* has happened."""
    seen: set[State] = set()
    for edges in FLOWS.values():
        front = {to for edge in edges if edge.transition is transition for to in edge.targets}
        while front:
            seen |= front
            front = {to for edge in edges if edge.source in front for to in edge.targets} - seen
    return frozenset(seen)


_BEHIND = MappingProxyType({transition: _behind(transition) for transition in Transition})


def check(state: State, transition: Transition) -> None:
    """Return when *transition* may start in *state*.

    Raises:
        Redundant: it has happened already, or the refund has ended.
        Illegal: no flow has it in this state.
    """
    if state in sources(transition):
        return
    if state not in ACTIVE or state in _BEHIND[transition]:
        raise Redundant(state, transition)
    raise Illegal(state, transition)


def apply(state: State, transition: Transition, to: State, *, flow: Flow | None = None) -> State:
    """Return the state after *transition* has led from *state* to *to*.

    Without *flow*, as long as the order is not assessed, it may be an edge of either flow.

    Raises:
        Redundant: it has happened already, or the refund has ended.
        Illegal: the flow has no such edge.
    """
    for machine in [_MACHINES[flow]] if flow else _MACHINES.values():
        cursor = _Cursor(state.value, to.value)
        try:
            # The machine does not keep the cursor: no list grows, and no lock is needed.
            if machine.events[transition.value].trigger(cursor):
                return State(cursor.state)
        except (MachineError, KeyError):
            continue  # The flow has no such transition, or not in this state.
    check(state, transition)
    raise Illegal(state, transition, to)
