"""Draw the flows from their tables, as Mermaid diagrams."""

from __future__ import annotations

from statemachine.flows import ENDINGS, FLOWS, TERMINAL, Flow, State


def mermaid(flow: Flow) -> str:
    """Draw one flow as a Mermaid state diagram, one line per edge, always in the same order.

    Each transition can also end in `rejected` or `dead`; the diagram leaves these edges out.
    """
    edges = FLOWS[flow]
    lines = ["stateDiagram-v2", f"    [*] --> {State.ACCEPTED}"]
    lines += [
        f"    {edge.source} --> {target}: {edge.transition}"
        for edge in edges
        for target in edge.targets
    ]
    reached = {target for edge in edges for target in edge.targets}
    ends = reached & (TERMINAL | ENDINGS)
    lines += [f"    {state} --> [*]" for state in State if state in ends]
    return "\n".join(lines) + "\n"
