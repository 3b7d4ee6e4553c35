"""`refunds logs`: the log of the workers, for people."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.support.commands import refunds
from tests.support.processes import REFUNDS, run_program

_OLD = (datetime.now(UTC) - timedelta(days=3)).isoformat()
LINES = [
    {"refund_id": "rf-1", "store_id": "s-1", "event": "step.retry", "level": "warning",
     "timestamp": _OLD, "in_ms": 5, "error": "HTTP 503, again", "host": "a"},
    {"refund_id": "rf-2", "store_id": "s-2", "event": "step.done", "level": "info",
     "timestamp": datetime.now(UTC).isoformat(), "severity": "INFO"},
    {"@timestamp": datetime.now(UTC).isoformat(), "log.level": "error",
     "event.action": "worker.bug",
     "error.message": "KeyError at a.py:7", "refunds": {"refund_id": "rf-3"}},
]  # fmt: skip


@pytest.fixture
def file(tmp_path: Path) -> str:
    """A log, with a line of another program that a terminal would obey."""
    path = tmp_path / "worker.log"
    path.write_text("\n".join([*map(json.dumps, LINES), "another \x1b[2J line", ""]))
    return str(path)


def test_lines_are_shown_one_by_one(file: str) -> None:
    """Time, level, event, refund, and the fields; what a terminal would obey is escaped."""
    done = refunds(None, "logs", file)
    first, second, third, other = done.stdout.splitlines()
    assert (
        'warning step.retry             rf-1 store_id=s-1 in_ms=5 error="HTTP 503, again"' in first
    )
    assert "info    step.done              rf-2 store_id=s-2" in second
    assert 'error   worker.bug             rf-3 error="KeyError at a.py:7"' in third
    assert other == "another \\x1b[2J line"


@pytest.mark.parametrize(
    ("options", "shown"),
    [
        (["--refund", "rf-1"], ["rf-1"]),
        (["--store", "s-2"], ["rf-2"]),
        (["--event", "step.retry", "--event", "worker."], ["rf-1", "rf-3"]),
        (["--level", "warning"], ["rf-1", "rf-3"]),
        (["--since", "1h"], ["rf-2", "rf-3"]),
        (["--since", "1h", "--level", "warning"], ["rf-3"]),
    ],
)
def test_filters_select(file: str, options: list[str], shown: list[str]) -> None:
    """With --json, each line is an event with our names, whatever its format was."""
    done = refunds(None, "logs", file, *options, "--json")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["refund_id"] for line in lines] == shown
    assert len(refunds(None, "logs", file, *options).stdout.splitlines()) == len(shown)


def test_standard_input_is_read_with_a_dash() -> None:
    """As after a pipe."""
    done = run_program([*REFUNDS, "logs", "-"], stdin=json.dumps(LINES[0]))
    assert "step.retry" in done.stdout


def test_a_file_that_is_not_there_is_wrong_usage() -> None:
    """Without a traceback."""
    done = refunds(None, "logs", "/nowhere/at/all")
    assert done.returncode == 2
    assert "cannot be read: No such file" in done.stderr
