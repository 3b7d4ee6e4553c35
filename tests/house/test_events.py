"""The table of log events is what is logged: no more, no less."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.house.documents import ROOT
from tests.house.test_house import PRODUCT
from worker.intake import ACCEPT_EVENTS
from worker.observability.act_events import EVENT_OF_ACT
from worker.observability.events import BOUND, EVENTS
from worker.steps.results import END_EVENTS
from worker.steps.step_logs import UNCLAIMED_EVENTS
from worker.steps.watch import EVENTS as WATCH_EVENTS

#: Where the name of an event is chosen from a table of another module: what it may be there.
CHOSEN = {
    "worker/api/refunds.py": set(ACCEPT_EVENTS.values()),
    "worker/intake.py": set(ACCEPT_EVENTS.values()),
    "worker/ledger/audit_log.py": {*EVENT_OF_ACT.values(), "operator.acted"},
    "worker/observability/foreign.py": {"worker.dramatiq", "worker.library"},
    # What a step has noticed and how it ended, or why it was not run.
    "worker/steps/step_logs.py": {
        *UNCLAIMED_EVENTS.values(),
        *END_EVENTS.values(),
        *("step.redundant", "step.illegal", "order.also_refundable"),
        *("step.done", "step.waiting", "step.held_back", "step.retry", "step.forbidden"),
        *("step.suspended", "step.needs_approval"),
    },
    "worker/steps/watch.py": {*WATCH_EVENTS.values(), "refund.overpaid"},
}


def _calls(path: Path) -> Iterator[ast.Call]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "log_event":
            yield node


def test_every_event_that_is_logged_is_in_the_table_with_its_fields() -> None:
    """Readers of the logs rely on the table in worker/observability/README.md."""
    undeclared = []
    for path in PRODUCT:
        for call in _calls(path):
            name = call.args[0]
            if isinstance(name, ast.Constant):
                known = {*EVENTS[str(name.value)].fields, *BOUND}
                undeclared += [
                    (name.value, k.arg) for k in call.keywords if k.arg and k.arg not in known
                ]
    assert undeclared == []


def test_every_event_of_the_table_is_logged_somewhere() -> None:
    """Nobody waits for an event that never comes."""
    logged: set[str] = set()
    for path in PRODUCT:
        names = [call.args[0] for call in _calls(path)]
        logged |= {str(name.value) for name in names if isinstance(name, ast.Constant)}
        if not all(isinstance(name, ast.Constant) for name in names):
            # Chosen among names in the same module, or from a table of another one.
            logged |= _texts(path) & set(EVENTS) | CHOSEN.get(
                path.relative_to(ROOT).as_posix(), set()
            )
    # What a step has noticed, or how it ended (worker/steps/step_logs.py).
    for path in PRODUCT:
        if path.parent.name in {"flows", "steps"}:
            logged |= _texts(path) & set(EVENTS)
    assert logged == set(EVENTS)


def _texts(path: Path) -> set[str]:
    nodes = ast.walk(ast.parse(path.read_text()))
    return {n.value for n in nodes if isinstance(n, ast.Constant) and isinstance(n.value, str)}


def test_what_is_chosen_is_written_out() -> None:
    """Each name that a call chooses is a constant of the product, outside of the table."""
    tables = set((ROOT / "worker" / "observability").glob("*event*.py"))
    constants = {
        node.value
        for path in PRODUCT
        if path not in tables
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant)
    }
    assert set().union(*CHOSEN.values()) - constants - set(EVENT_OF_ACT.values()) == set()
