"""The picture of the flows, drawn from the tables."""

from __future__ import annotations

from statemachine.flows import ENDINGS, FLOWS, TERMINAL, State, next_transition


def mermaid() -> str:
    """Draw both flows as a Mermaid state diagram, one line per edge, always in the same order."""
    lines = ["stateDiagram-v2", f"    [*] --> {State.ACCEPTED}"]
    for flow, edges in FLOWS.items():
        lines.append(f"    %% {flow}")
        lines += [
            f"    {edge.source} --> {target}: {edge.transition}"
            for edge in edges
            for target in edge.targets
        ]
    drawn = {
        (edge.source, target)
        for edges in FLOWS.values()
        for edge in edges
        for target in edge.targets
    }
    lines.append("    %% any step may end here; a person may replay a dead letter")
    lines += [
        f"    {state} --> {ending}"
        for state in State
        if next_transition(state)
        for ending in sorted(ENDINGS)
        if (state, ending) not in drawn
    ]
    lines += [f"    {state} --> [*]" for state in State if state in TERMINAL]
    return "\n".join(lines) + "\n"
