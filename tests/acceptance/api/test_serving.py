"""The server of the API and of the console, as a program of its own."""

from __future__ import annotations

import signal
import sys

import pytest

from tests.support.processes import run_program

#: The signal comes when the address is out and uvicorn does not run yet.
CODE = """
import signal
from worker.serving.binding import Binding
from worker.serving.server import Server
server = Server(Binding(host="127.0.0.1", port=0))
server.run(None, lambda _: signal.raise_signal({number}))
print("stopped", server.is_stopping)
"""


@pytest.mark.parametrize("each", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_is_heard_as_soon_as_the_address_is_known(each: signal.Signals) -> None:
    """The server stops, whoever is fast."""
    done = run_program([sys.executable, "-c", CODE.format(number=int(each))])
    assert (done.returncode, done.stdout) == (0, "stopped True\n"), done.stderr
