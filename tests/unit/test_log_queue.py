"""Log lines are written without holding anything up, and what is lost is told."""

from __future__ import annotations

import fcntl
import io
import json
import os
import select
from collections.abc import Iterator

import pytest

from tests.support.logs import restored_logging
from tests.support.processes import wait_until
from worker.observability import log_queue
from worker.observability.log_queue import LogQueue
from worker.observability.logs import configure_logs

#: Linux's F_SETPIPE_SZ: such a pipe is full after a page.
_SET_SIZE, _PAGE = 1031, 4096


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """A pipe that is full after 4 kB."""
    reads, writes = os.pipe()
    fcntl.fcntl(writes, _SET_SIZE, _PAGE)
    yield reads, writes
    os.close(reads)
    os.close(writes)


def _read_all(descriptor: int) -> str:
    """Read what is in a pipe."""
    text = b""
    os.set_blocking(descriptor, False)
    try:
        while part := os.read(descriptor, 65536):
            text += part
    except BlockingIOError:
        pass
    return text.decode()


def test_lines_arrive_in_order(pipe: tuple[int, int]) -> None:
    """Whoever closes the queue waits until they are written."""
    queue = LogQueue(pipe[1])
    for number in range(50):
        queue.put(f"line {number}")
    queue.close(60)
    assert _read_all(pipe[0]).splitlines() == [f"line {number}" for number in range(50)]
    assert queue.dropped == 0


def test_a_whole_batch_waits_for_no_more_lines(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a reader had stopped, what waits is written as fast as it is read."""
    monkeypatch.setattr(log_queue, "BATCH", 3)
    queue = LogQueue(pipe[1])
    queue.put("x" * 2 * _PAGE)
    wait_until(lambda: bool(select.select([pipe[0]], [], [], 0)[0]))
    # Longer than the test may take: a wait for more lines would never end.
    monkeypatch.setattr(log_queue, "GATHER_S", 3_600)
    for number in range(4):
        queue.put(f"line {number}")
    text = ""

    def is_written() -> bool:
        nonlocal text
        text += _read_all(pipe[0])
        return text.endswith("line 0\nline 1\nline 2\n")

    wait_until(is_written)
    queue.close(60)
    assert _read_all(pipe[0]) == "line 3\n"


def test_nobody_waits_for_a_reader_that_stopped_and_the_loss_is_told(pipe: tuple[int, int]) -> None:
    """The queue is bounded; the lines that did not fit are counted, and told when it is read."""
    queue = LogQueue(pipe[1], most_lines=20)
    with restored_logging():
        configure_logs("json", "info", io.StringIO(), write=queue.put)
        for number in range(100):
            queue.put(f"line {number} {'x' * 500}")
        assert queue.dropped > 0
        lost, text = queue.dropped, ""

        def is_told() -> bool:
            nonlocal text
            text += _read_all(pipe[0])
            return "log.dropped" in text and text.endswith("\n")

        wait_until(is_told)
        queue.close(60)
    told = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    assert [(line["event"], line["lines"]) for line in told] == [("log.dropped", lost)]
    assert sum(line.startswith("line ") for line in text.splitlines()) == 100 - lost


def test_a_queue_that_nobody_reads_can_be_closed(pipe: tuple[int, int]) -> None:
    """It gives up, and a line that comes later is dropped without waiting."""
    queue = LogQueue(pipe[1])
    for _ in range(30):
        queue.put("x" * 500)
    queue.close(0.01)
    queue.put("too late")
    text = ""

    def has_ended() -> bool:
        nonlocal text
        text += _read_all(pipe[0])
        return not queue._thread.is_alive()

    wait_until(has_ended)
    assert "too late" not in text


def test_a_line_that_comes_after_the_end_is_written_at_once(pipe: tuple[int, int]) -> None:
    """Such as what the interpreter says when it ends."""
    queue = LogQueue(pipe[1])
    queue.close(60)
    queue.put("last words")
    assert _read_all(pipe[0]) == "last words\n"


def test_a_log_that_cannot_be_written_ends_nothing() -> None:
    """Nobody has the other end of the pipe: the lines count as dropped."""
    reads, writes = os.pipe()
    os.close(reads)
    queue = LogQueue(writes)
    queue.put("lost")
    queue.close(60)
    os.close(writes)
    assert queue.dropped == 1
