"""`refunds watch` on a terminal of its own."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from tests.support.commands import settings_of
from tests.support.processes import PATIENCE_S, REFUNDS, environment_without_settings
from tests.support.rig import Rig


@dataclass
class Terminal:
    """A program on a terminal, and what the terminal shows."""

    program: subprocess.Popen[bytes]
    keyboard: int
    shown: bytes = b""

    def wait_for(self, text: bytes) -> None:
        """Read until the terminal has shown a text."""
        deadline = time.monotonic() + PATIENCE_S
        while text not in self.shown:
            left_s = deadline - time.monotonic()
            assert left_s > 0, f"{text!r} does not appear in {self.shown!r}"
            if select.select([self.keyboard], [], [], left_s)[0]:
                self.shown += os.read(self.keyboard, 65_536)

    def press(self, keys: bytes) -> None:
        """Press keys."""
        os.write(self.keyboard, keys)

    def end(self) -> int:
        """Wait until the program has ended; returns its exit code."""
        deadline = time.monotonic() + PATIENCE_S
        while self.program.poll() is None:
            assert time.monotonic() < deadline, f"it does not end; it shows {self.shown!r}"
            if select.select([self.keyboard], [], [], 0.02)[0]:
                self.shown += os.read(self.keyboard, 65_536)
        return self.program.returncode


@contextmanager
def _watching(rig: Rig, *arguments: str) -> Iterator[Terminal]:
    """Run `refunds watch` on a new terminal; it has ended at the end."""
    try:
        keyboard, screen = pty.openpty()
    except OSError as error:
        pytest.skip(f"this machine has no terminals to give: {error}")
    before = termios.tcgetattr(screen)
    program = subprocess.Popen(
        [*REFUNDS, "watch", *arguments],
        env=environment_without_settings() | settings_of(rig) | {"TERM": "xterm"},
        stdin=screen,
        stdout=screen,
        stderr=screen,
        start_new_session=True,
    )
    try:
        yield Terminal(program, keyboard)
        assert termios.tcgetattr(screen) == before
    finally:
        program.kill()
        program.wait()
        os.close(keyboard)
        os.close(screen)


@pytest.mark.parametrize("keys", [b"Q", b"xyq"])
def test_the_key_q_ends_it_and_the_terminal_is_as_before(rig: Rig, keys: bytes) -> None:
    """At once, however long the pause is, and also if other keys come before it."""
    with _watching(rig, "--every", "3600") as terminal:
        terminal.wait_for(b"q quits")
        terminal.press(keys)
        assert terminal.end() == 0


def test_it_looks_again(rig: Rig) -> None:
    """What changes appears, and other keys do not end it."""
    # The worker lives however long the program takes to start.
    rig.redis.zadd(rig.key("workers"), {rig.broker.broker_id: 10**14})
    with _watching(rig, "--every", "0.5") as terminal:
        terminal.wait_for(b"No worker leads")
        rig.redis.set(rig.key("scheduler"), rig.broker.broker_id)
        terminal.press(b"x")
        terminal.wait_for(b"Nothing needs a person")
        terminal.press(b"q")
        assert terminal.end() == 0
