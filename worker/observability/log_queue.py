"""Writes log lines in a thread of its own: a reader of the log that stops reading stops no step.

The lines wait in a bounded queue. What does not fit is dropped, counted, and told once lines are
read again (`log.dropped`).
"""

from __future__ import annotations

import os
import select
import threading
from contextlib import suppress
from queue import Empty, SimpleQueue

from worker.observability.events import log_event

#: How many lines wait at most; a line has some hundred bytes.
MOST_LINES = 10_000
#: How many lines are written at once.
BATCH = 1_000
#: How long the thread waits for more lines after the first one. To wake it for each line would
#: cost the steps more than to write the line does.
GATHER_S = 0.02


class LogQueue:
    """Takes lines without waiting, and writes them to a file descriptor."""

    def __init__(self, descriptor: int, *, most_lines: int = MOST_LINES) -> None:
        self._descriptor = descriptor
        self._most_lines = most_lines
        self._lines: SimpleQueue[str | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._untold = 0
        self._closing = threading.Event()
        self._is_closed = False
        self.dropped = 0
        """How many lines were dropped since the start."""
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def put(self, line: str) -> None:
        """Take one line, without its end; never waits."""
        if self._is_closed:
            self._write_if_possible(f"{line}\n")
        elif self._lines.qsize() < self._most_lines:
            self._lines.put(line)
        else:
            self._drop(1)

    def close(self, within_s: float) -> None:
        """Write what waits, but give up after *within_s*. Later lines are written at once."""
        self._closing.set()
        self._lines.put(None)
        self._thread.join(within_s)
        self._is_closed = True

    def _run(self) -> None:
        is_last = False
        while not is_last:
            batch = self._batch()
            is_last = None in batch
            self._write([line for line in batch if line is not None])

    def _batch(self) -> list[str | None]:
        batch = [self._lines.get()]
        # If a batch waits already, to wait for more would only let more be dropped.
        if self._lines.qsize() < BATCH:
            self._closing.wait(GATHER_S)
        with suppress(Empty):
            while len(batch) < BATCH and batch[-1] is not None:
                batch.append(self._lines.get_nowait())
        return batch

    def _write(self, lines: list[str]) -> None:
        if not lines:
            return
        left = "".join(f"{line}\n" for line in lines).encode("utf-8", "backslashreplace")
        try:
            while left:
                try:
                    left = left[os.write(self._descriptor, left) :]
                except BlockingIOError:
                    select.select([], [self._descriptor], [])
        except OSError:
            # A full disk, or nobody has the other end of the pipe.
            self._drop(len(lines))
            return
        with self._lock:
            untold, self._untold = self._untold, 0
        if untold:
            log_event("log.dropped", lines=untold)

    def _drop(self, lines: int) -> None:
        with self._lock:
            self.dropped += lines
            self._untold += lines

    def _write_if_possible(self, text: str) -> None:
        with suppress(OSError, ValueError):
            if select.select([], [self._descriptor], [], 0)[1]:
                os.write(self._descriptor, text.encode("utf-8", "backslashreplace"))
