"""A parent restarts its children, unless they say that this cannot help."""

from __future__ import annotations

import os
import subprocess

import pytest

from config.loading import SettingsError, load_settings
from worker.process.children import (
    FIRST_PAUSE_S,
    MAX_PAUSE_S,
    OTHER_LEDGER,
    REFUSED,
    STEADY_S,
    Children,
)
from worker.process.cores import kept_to


class _Child:
    """A process that ends when the test says so."""

    def __init__(self) -> None:
        self.code: int | None = None
        self.got: list[str] = []
        self.hangs = False

    def poll(self) -> int | None:
        return self.code

    def terminate(self) -> None:
        self.got.append("SIGTERM")

    def kill(self) -> None:
        self.got.append("SIGKILL")
        self.hangs = False

    def wait(self, timeout: float | None = None) -> int:
        if self.hangs:
            raise subprocess.TimeoutExpired("worker", timeout or 0)
        return self.code or 0


class _World:
    """The children that were started, and a clock."""

    def __init__(self, count: int) -> None:
        self.started: list[_Child] = []
        self.now = 1_000.0
        self.children = Children(count, self._start, lambda: self.now)

    def _start(self, _: int) -> _Child:
        self.started.append(_Child())
        return self.started[-1]

    def restart_after(self) -> float:
        """Let the youngest child crash; return the pause until it is started again."""
        count, began = len(self.started), self.now
        self.started[-1].code = 1
        while len(self.started) == count:
            assert self.children.look() is None
            self.now += FIRST_PAUSE_S / 10
        return self.now - began


def test_a_child_that_crashes_is_started_again_after_a_growing_pause() -> None:
    """A crash that always happens must not use all of the machine."""
    world = _World(1)
    pauses = [world.restart_after() for _ in range(9)]
    for number, pause in enumerate(pauses):
        assert pause == pytest.approx(min(FIRST_PAUSE_S * 2**number, MAX_PAUSE_S), abs=0.2)


def test_a_child_that_worked_for_a_while_is_started_again_soon() -> None:
    """Its crash had another cause than the one before."""
    world = _World(1)
    for _ in range(4):
        world.restart_after()
    world.now += STEADY_S
    assert world.restart_after() == pytest.approx(FIRST_PAUSE_S, abs=0.2)


@pytest.mark.parametrize("code", [OTHER_LEDGER, REFUSED])
def test_a_child_that_refuses_to_work_ends_all(code: int) -> None:
    """Only a person can help; it would refuse again and again."""
    world = _World(2)
    assert world.children.look() is None
    world.started[1].code = code
    assert world.children.look() == code
    assert len(world.started) == 2


def test_all_children_are_stopped() -> None:
    """One that does not end in time is killed; one that had not begun ends by the signal itself."""
    world = _World(3)
    world.started[0].code, world.started[1].hangs = -15, True
    assert world.children.stop(0.1) == 1
    assert [child.got for child in world.started] == [
        ["SIGTERM"],
        ["SIGTERM", "SIGKILL"],
        ["SIGTERM"],
    ]


def test_auto_is_one_process_for_each_core() -> None:
    """Of those that this process may use."""
    environ = {"REFUNDS_REDIS_URL": "redis://localhost"}
    settings = load_settings(environ | {"REFUNDS_PROCESSES": "auto"})
    assert 1 <= settings.processes <= 64
    assert load_settings(environ).processes == 1
    with pytest.raises(SettingsError, match="PROCESSES"):
        load_settings(environ | {"REFUNDS_PROCESSES": "many"})


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="Linux only")
def test_a_core_that_cannot_be_had_leaves_the_choice_to_the_system() -> None:
    """A core may be taken away while the worker runs; a child still starts."""
    before = os.sched_getaffinity(0)
    with kept_to(4_000):
        assert os.sched_getaffinity(0) == before
    assert os.sched_getaffinity(0) == before
