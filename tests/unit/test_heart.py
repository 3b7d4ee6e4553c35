"""The heart stops for a worker whose step overstays, so that others take over."""

from __future__ import annotations

import io
import json
import threading
from types import SimpleNamespace
from typing import Any

from worker.queue.middleware import Running
from worker.queue.names import STEPS
from worker.scheduler.heart import STUCK_AFTER_S, Heart


class _Broker:
    """Counts heartbeats."""

    beats = 0

    def beat(self) -> None:
        """Count one."""
        self.beats += 1


class _Clock:
    """A clock that the test sets."""

    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def _heart(clock: _Clock) -> tuple[Heart, _Broker, Running]:
    broker, running = _Broker(), Running(clock)
    made: Any = broker
    return Heart(made, running, longest_call_s=14, monotonic=clock), broker, running


def test_a_step_that_overstays_stops_the_heart_until_it_ends(log: io.StringIO) -> None:
    """It is told once, with the thread; a step that goes on makes calls, and may take long."""
    clock = _Clock()
    heart, broker, running = _heart(clock)
    message: Any = SimpleNamespace(queue_name=STEPS)
    running.before_process_message(message, message)
    assert (running.count, running.steps) == (1, 1)
    for _ in range(10):
        clock.now_s += STUCK_AFTER_S
        running.saw_call()
        heart.beat()
    assert broker.beats == 10
    clock.now_s += STUCK_AFTER_S + 15
    heart.beat()
    heart.beat()
    assert broker.beats == 10
    [line] = [json.loads(text) for text in log.getvalue().splitlines()]
    assert (line["event"], line["silent_s"]) == ("worker.stuck", 75)
    assert line["thread"] == threading.current_thread().name
    running.after_process_message()
    assert (running.count, running.steps) == (0, 0)
    heart.beat()
    assert broker.beats == 11


def test_an_idle_worker_beats_for_ever() -> None:
    """A call of another thread than those of the steps is no sign of a step."""
    clock = _Clock()
    heart, broker, running = _heart(clock)
    assert heart.silent_s() is None
    running.saw_call()
    clock.now_s = 10**6
    heart.beat()
    clock.now_s += 3
    assert (broker.beats, running.count, heart.silent_s()) == (1, 0, 3)
