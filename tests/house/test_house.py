"""House rules that a program can check."""

from __future__ import annotations

import ast
import re
import statistics
from pathlib import Path

from statemachine.flows import Transition
from tests.house.documents import ROOT, tracked_files
from tests.support.longest import LONGEST
from worker.refund.reasons import REASONS

PRODUCT = sorted(
    path for top in ("config", "statemachine", "worker") for path in (ROOT / top).rglob("*.py")
)
TESTS = sorted((ROOT / "tests").rglob("*.py"))
#: Everything that may be at the top of the repository.
TOP_LEVEL = {
    ".ci",
    ".env.example",
    ".github",
    ".gitignore",
    ".luacheckrc",
    ".pre-commit-config.yaml",
    "CHANGELOG.md",
    "LICENSE",
    "Makefile",
    "Procfile",
    "README.md",
    "config",
    "pyproject.toml",
    "requirements.lock",
    "statemachine",
    "tests",
    "worker",
}


def _lines(path: Path) -> int:
    return len(path.read_text().splitlines())


def test_the_top_level_has_only_what_is_agreed() -> None:
    """A new file belongs in the folder that it is about."""
    assert {name.partition("/")[0] for name in tracked_files()} <= TOP_LEVEL


def test_the_files_that_start_first_exist() -> None:
    """One that was renamed would start at any time, and might run alone at the end."""
    assert [name for name in LONGEST if not (ROOT / "tests" / name).is_file()] == []


def test_modules_are_small() -> None:
    """A module has at most 300 lines; the median of the product is at most 120."""
    sizes = {str(path.relative_to(ROOT)): _lines(path) for path in [*PRODUCT, *TESTS]}
    assert [name for name, size in sizes.items() if size > 300] == []
    assert statistics.median(map(_lines, PRODUCT)) <= 120


def test_functions_are_small() -> None:
    """A function has at most 40 lines, with its signature and docstring."""
    long = []
    for path in PRODUCT:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno:
                size = node.end_lineno - node.lineno + 1
                if size > 40:
                    long.append((path.name, node.name, size))
    assert long == []


def test_one_word_per_transition() -> None:
    """Its actor and its function have its name, so that `grep` finds everything about it."""
    sources = "\n".join(path.read_text() for path in PRODUCT)
    for transition in Transition:
        assert len(re.findall(rf"def {transition}\(", sources)) >= 2


def test_every_reason_in_the_code_is_in_the_table() -> None:
    """The table says what a reason means and what a person can do."""
    sources = "\n".join(path.read_text() for path in PRODUCT)
    used = set(re.findall(r"(?:Rejected|Buried)\(\s*\"(\w+)\"", sources))
    assert used
    assert used <= set(REASONS)


def test_no_function_sleeps() -> None:
    """Waiting is a due time in the ledger. These may pause for a moment; a client may wait."""
    sleeping = {
        f"{path.parent.name}/{path.name}" for path in PRODUCT if "time.sleep" in path.read_text()
    }
    assert sleeping == {"worker/app.py", "demo/embedded.py", "http/wsgi.py", "upstream/queue.py"}
