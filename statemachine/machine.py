"""`apply()`: the one judge of what may follow what. `transitions.Machine` stays inside."""

from __future__ import annotations

from dataclasses import dataclass

from transitions import EventData, Machine

from statemachine.flows import ACTIVE, ENDINGS, FLOWS, Flow, State, Transition


class TransitionError(Exception):
    """A transition that may not happen now."""

    def __init__(self, state: State, transition: Transition, to: State | None = None) -> None:
        self.state = state
        self.transition = transition
        self.to = to
        aim = f" to {to}" if to else ""
        super().__init__(f"{transition}{aim} is {self.verdict} in state {state}")

    verdict = "not possible"


class Redundant(TransitionError):
    """It has happened already, or the refund has ended: say so and go on."""

    verdict = "redundant"


class Illegal(TransitionError):
    """It contradicts the tables: refuse."""

    verdict = "illegal"


@dataclass
class _Cursor:
    """What `transitions` moves: one is made per call, nothing is shared between threads."""

    state: str
    to: str


def _wanted(event: EventData) -> bool:
    """Of the edges with the same name, take the one that leads where the step says."""
    cursor, transition = event.model, event.transition
    return isinstance(cursor, _Cursor) and transition is not None and transition.dest == cursor.to


def _build() -> Machine:
    machine = Machine(
        model=None,
        states=[state.value for state in State],
        initial=None,
        auto_transitions=False,
        send_event=True,
    )
    for source, transition, target in sorted(_edges()):
        machine.add_transition(transition.value, source.value, target.value, conditions=_wanted)
    return machine


def _edges(flow: Flow | None = None) -> set[tuple[State, Transition, State]]:
    """Every (source, transition, target) of a flow, with the endings that are always open."""
    return {
        (edge.source, edge.transition, target)
        for edges in ([FLOWS[flow]] if flow else FLOWS.values())
        for edge in edges
        for target in {*edge.targets, *ENDINGS}
    }


_MACHINE = _build()


_EDGES = {flow: _edges(flow) for flow in Flow}


def _behind(flow: Flow, transition: Transition) -> set[State]:
    """The states that lie at or behind one of the transition's targets in this flow."""
    seen: set[State] = set()
    front = {target for _, name, target in _EDGES[flow] if name is transition}
    while front:
        seen |= front
        front = {target for source, _, target in _EDGES[flow] if source in front} - seen
    return seen


_BEHIND = {
    transition: frozenset().union(*(_behind(flow, transition) for flow in Flow))
    for transition in Transition
}


def check(state: State, transition: Transition) -> None:
    """Say nothing when *transition* may start in *state*.

    Raises:
        Redundant: it has happened already, or the refund has ended.
        Illegal: the tables do not know it in this state.
    """
    if state in sources(transition):
        return
    if state not in ACTIVE or state in _BEHIND[transition]:
        raise Redundant(state, transition)
    raise Illegal(state, transition)


def apply(state: State, transition: Transition, to: State, *, flow: Flow | None = None) -> State:
    """Return the state after *transition* led from *state* to *to*.

    The flows share some states; with *flow* an edge of the other one is illegal, too.

    Raises:
        Redundant: it has happened already, or the refund has ended.
        Illegal: the tables have no such edge.
    """
    check(state, transition)
    if flow and (state, transition, to) not in _EDGES[flow]:
        raise Illegal(state, transition, to)
    cursor = _Cursor(state.value, to.value)
    # The event is triggered on a model the machine does not keep: no list to leak, no lock needed.
    if not _MACHINE.events[transition.value].trigger(cursor):
        raise Illegal(state, transition, to)
    return State(cursor.state)


def sources(transition: Transition) -> tuple[State, ...]:
    """List the states in which *transition* may start, for a guard outside of Python."""
    return tuple(
        dict.fromkeys(source for source, name, _ in sorted(_edges()) if name is transition)
    )
