"""House rules that a script can check."""

from __future__ import annotations

import ast
import re
import statistics
from pathlib import Path

from statemachine.flows import Transition
from tests.house.documents import ROOT
from worker.observability.events import BOUND, EVENTS
from worker.refund.reasons import REASONS

PRODUCT = sorted(
    p for room in ("config", "statemachine", "worker") for p in (ROOT / room).rglob("*.py")
)


def _lines(path: Path) -> int:
    return len(path.read_text().splitlines())


def test_modules_are_small() -> None:
    """Median at most 120 lines, none over 300."""
    sizes = {path.name: _lines(path) for path in PRODUCT}
    assert [name for name, size in sizes.items() if size > 300] == []
    assert statistics.median(sizes.values()) <= 120


def test_functions_fit_on_a_screen() -> None:
    """At most forty lines with everything."""
    long = []
    for path in PRODUCT:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno:
                size = node.end_lineno - node.lineno + 1
                if size > 40:
                    long.append((path.name, node.name, size))
    assert long == []


def test_one_word_per_transition() -> None:
    """Enum value, actor, function of the flow: `grep -rn unfulfill_order` tells the whole story."""
    sources = "\n".join(path.read_text() for path in PRODUCT)
    for transition in Transition:
        assert len(re.findall(rf"def {transition}\(", sources)) >= 2


def test_every_event_that_is_told_is_in_the_table_with_its_fields() -> None:
    """Fields that nobody declared would be news to the reader of the logs."""
    odd = []
    for path in PRODUCT:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "log_event":
                name = node.args[0]
                if isinstance(name, ast.Constant):
                    known = {*EVENTS[str(name.value)].fields, *BOUND}
                    odd += [
                        (name.value, k.arg) for k in node.keywords if k.arg and k.arg not in known
                    ]
    assert odd == []


def test_names_of_events_are_written_out() -> None:
    """Else `grep -rn step.retry` would not find where it comes from."""
    built = re.compile(r'f"(?:refund|step|store|message|order|doctor|worker|settings|demo)\.')
    assert [path.name for path in PRODUCT if built.search(path.read_text())] == []


def test_every_reason_in_the_code_is_in_the_table() -> None:
    """A reason without a sentence helps nobody at night."""
    sources = "\n".join(path.read_text() for path in PRODUCT)
    used = set(re.findall(r"(?:Rejected|Buried)\(\s*\"(\w+)\"", sources))
    assert used
    assert used <= set(REASONS)


def test_no_function_sleeps() -> None:
    """Waiting is a due time in the ledger; only the commit loop and the server start may pause."""
    sleeping = {
        f"{path.parent.name}/{path.name}" for path in PRODUCT if "time.sleep" in path.read_text()
    }
    assert sleeping == {"worker/app.py", "demo/embedded.py", "http/wsgi.py"}
