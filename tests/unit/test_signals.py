"""What a signal does to the worker."""

from __future__ import annotations

import io
import os
import signal
from collections.abc import Iterator

import pytest

from worker.process.stopping import stop_on_signals

SIGNALS = (signal.SIGTERM, signal.SIGINT)


@pytest.fixture(autouse=True)
def _handlers() -> Iterator[None]:
    """Restore the handlers of the test's own process."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", SIGNALS)
def test_the_handler_of_a_signal_writes_nothing(log: io.StringIO, number: signal.Signals) -> None:
    """It may interrupt the writing of a log line, and the stream refuses a second writer."""
    stop = stop_on_signals()
    os.kill(os.getpid(), number)
    assert stop.is_set()
    assert log.getvalue() == ""
    stop.log(grace_s=25)
    assert (number.name in log.getvalue(), "worker.stopping" in log.getvalue()) == (True, True)


def test_only_the_first_signal_is_named(log: io.StringIO) -> None:
    """A process group may get several."""
    stop = stop_on_signals()
    for number in SIGNALS:
        os.kill(os.getpid(), number)
    stop.log(grace_s=25)
    assert "SIGTERM" in log.getvalue()
    assert "SIGINT" not in log.getvalue()
