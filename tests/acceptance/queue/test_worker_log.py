"""The log of the program: one JSON object a line, whatever happens, and no step waits for it."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys

import pytest

from statemachine.flows import State
from tests.support.processes import PATIENCE_S, run_program, wait_until
from tests.support.rig import AFTER, Rig
from tests.support.worker_program import worker
from worker.simulator import serve

#: Linux's F_SETPIPE_SZ.
_SET_SIZE = 1031

_BEGIN = "from worker.observability.program_log import begin_log\nbegin_log('{format}')\n"
_SECRET = "IST.canary.aaaa.bbbb"
#: What goes wrong in a program, and the events that say so.
WRONG = {
    "crash": (f"raise KeyError('{_SECRET}')", ["worker.crashed"]),
    "thread": (
        f"""
import threading
thread = threading.Thread(target=lambda: int('{_SECRET}'))
thread.start()
thread.join()
""",
        ["worker.bug"],
    ),
    "warning": (f"import warnings\nwarnings.warn('{_SECRET}')", ["worker.library"]),
    "library": (
        f"""
import logging
try:
    int('{_SECRET}')
except ValueError:
    logging.getLogger('x').exception('two\\nlines')
""",
        ["worker.library"],
    ),
    "text": (
        r"import sys; print('one\ntwo\nthr', end='ee\n', file=sys.stderr)",
        ["worker.stderr"] * 3,
    ),
    "destructor": (
        """
class A:
    def __del__(self): raise ValueError('x')
a = A()
del a
""",
        ["worker.bug"],
    ),
    "at exit": ("import atexit\natexit.register(lambda: 1 / 0)", ["worker.bug"]),
    "last destructor": (
        """
class A:
    def __del__(self): raise ValueError('x')
a = A()
""",
        ["worker.bug"],
    ),
}


@pytest.mark.parametrize("log_format", ["json", "ecs"])
@pytest.mark.parametrize("case", WRONG)
def test_whatever_happens_is_one_json_object_a_line(case: str, log_format: str) -> None:
    """Crashes, warnings, other libraries, and what the interpreter says at the end; no secret."""
    code, events = WRONG[case]
    done = run_program([sys.executable, "-c", _BEGIN.format(format=log_format) + code])
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    name = "event" if log_format == "json" else "event.action"
    assert [line[name] for line in lines] == events
    assert all("pid" in line or "process.pid" in line for line in lines)
    assert "canary" not in done.stderr
    assert done.returncode == (1 if case == "crash" else 0)


def test_a_log_that_nobody_reads_holds_up_neither_steps_nor_the_end(rig: Rig) -> None:
    """The pipe is full after 4 kB: all refunds finish, and SIGTERM ends the worker with 0."""
    quick = {"REFUNDS_STORE_CALLS_PER_MIN": "0", "REFUNDS_CONFIRM_FIRST_MS": "50"}
    with serve(rig.simulator) as url, worker(rig, url, **quick) as program:
        assert program.stderr is not None
        fcntl.fcntl(program.stderr.fileno(), _SET_SIZE, 4096)
        ids = [rig.request(rig.order(AFTER)) for _ in range(20)]
        wait_until(
            lambda: all((r := rig.ledger.load(i)) and r.state is State.REFUNDED for i in ids)
        )
        os.kill(program.pid, signal.SIGTERM)
        # Nobody reads yet.
        assert program.wait(PATIENCE_S) == 0
        rest = program.stderr.read()
    assert len(rest) < 20 * 300  # what was logged does not fit


def test_settings_that_are_missing_are_an_event() -> None:
    """So are arguments that nobody knows, line by line."""
    done = run_program([sys.executable, "-m", "worker"], {"REFUNDS_LOG_FORMAT": "gcp"})
    line = json.loads(done.stderr)
    assert (line["event"], line["severity"], done.returncode) == ("settings.invalid", "ERROR", 2)
    assert any("REFUNDS_REDIS_URL is not set" in problem for problem in line["problems"])
    unknown = subprocess.run(
        [sys.executable, "-m", "worker", "--fast"], capture_output=True, text=True, check=False
    )
    assert {json.loads(text)["event"] for text in unknown.stderr.splitlines()} == {"worker.stderr"}
    assert unknown.returncode == 2
