"""A signal that comes while a program is being loaded ends it as any later one does."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.processes import (
    PATIENCE_S,
    environment_without_coverage,
    environment_without_settings,
    wait_until,
)
from tests.support.rig import KEY, STORE_ID
from worker.serving.tokens import hash_of

#: Programs as pip installs them, without their scripts.
SCRIPT = "import sys; sys.argv[0] = '/opt/refunds/bin/{0}'; from {1} import {2}; {2}()"
WORKER = (sys.executable, "-c", SCRIPT.format("refunds-worker", "worker.__main__", "run"))
REFUNDS = (sys.executable, "-c", SCRIPT.format("refunds", "worker.cli.main", "main"))
TOKEN = {"sha256": [hash_of("x")]}
PROGRAMS = {
    "python -m worker": (sys.executable, "-m", "worker"),
    "refunds-worker": WORKER,
    "refunds api": (*REFUNDS, "api", "--port", "0"),
    "refunds console": (*REFUNDS, "console", "--port", "0"),
    "refunds simulator": (*REFUNDS, "simulator", "--port", "0"),
}
SETTINGS = {
    "REFUNDS_STORES": json.dumps({STORE_ID: {"account_id": "a", "api_key": KEY}}),
    "REFUNDS_API_TOKENS": json.dumps({"a": TOKEN | {"stores": ["*"]}}),
    "REFUNDS_CONSOLE_TOKENS": json.dumps({"ann": TOKEN | {"role": "view"}}),
    "REFUNDS_LOG_FORMAT": "json",
}


def _environment(server: socket.socket) -> dict[str, str]:
    """Return the settings of a program; the coverage measurement would handle SIGTERM itself."""
    plain = environment_without_settings().items() & environment_without_coverage().items()
    address = f"redis://127.0.0.1:{server.getsockname()[1]}/0"
    return dict(plain) | SETTINGS | {"REFUNDS_REDIS_URL": address}


def _holds(pid: int, number: signal.Signals) -> bool:
    """Return whether a signal would wait, or be handled, instead of ending the process."""
    status = Path(f"/proc/{pid}/status").read_text()
    masks = re.findall(r"^Sig(?:Blk|Cgt):\t([0-9a-f]+)$", status, re.MULTILINE)
    return any(int(mask, 16) >> (number - 1) & 1 for mask in masks)


@pytest.mark.skipif(sys.platform != "linux", reason="the masks of signals are in Linux's /proc")
@pytest.mark.parametrize("name", PROGRAMS)
def test_sigterm_while_a_program_is_loaded_ends_it_with_0(name: str) -> None:
    """It has begun nothing yet; a supervisor must not take it for a failure."""
    # A server that never answers: no program ends by itself while this test waits for its turn.
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        subprocess.Popen(
            PROGRAMS[name],
            env=_environment(silent),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as program,
    ):
        try:
            wait_until(lambda: _holds(program.pid, signal.SIGTERM))
            os.kill(program.pid, signal.SIGTERM)
            printed, _ = program.communicate(timeout=PATIENCE_S)
        finally:
            program.kill()
    assert program.returncode == 0, printed
    assert "Traceback" not in printed


def test_other_commands_are_ended_by_a_signal_as_always() -> None:
    """Only the programs that run until they are stopped let SIGTERM wait."""
    code = (
        "import signal, sys; sys.argv = ['/usr/bin/refunds', 'outcomes', 'api'];"
        "import worker.cli.main; print(signal.pthread_sigmask(signal.SIG_BLOCK, ()))"
    )
    done = subprocess.run(
        (sys.executable, "-c", code), capture_output=True, text=True, timeout=PATIENCE_S, check=True
    )
    assert done.stdout == "set()\n"
