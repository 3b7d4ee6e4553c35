"""A connection whose request does not arrive, or whose answer is not read, is closed.

uvicorn would keep it for ever. There is a limit of connections, so that whoever opened many and
sent or read nothing would lock out all others.
"""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.h11_impl import H11Protocol

#: How long the request line and the headers may take to arrive.
HEAD_S = 10.0
#: How long a client may read nothing of an answer.
READ_S = 30.0


class PromptProtocol(H11Protocol):
    """HTTP/1.1 of uvicorn, with time limits for the beginning of a request and for an answer."""

    _late: asyncio.TimerHandle | None = None
    _unread: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn
        """Wait for the first request."""
        super().connection_made(transport)
        # Then `pause_writing` says that something is left to be read, however little. (With 0,
        # asyncio's TLS would also stop when nothing is left.)
        transport.set_write_buffer_limits(high=1)
        self._expect_head()

    def data_received(self, data: bytes) -> None:
        """Wait for the rest of the headers, if they are not complete."""
        super().data_received(data)
        if self._is_answering:
            self._stop_waiting()
        else:
            self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._stop_waiting()
        self._stop_expecting()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Expect that the client reads."""
        super().pause_writing()
        self._expect_reading()

    def resume_writing(self) -> None:
        """All is read."""
        self._stop_expecting()
        super().resume_writing()

    def _expect_reading(self) -> None:
        left = self.transport.get_write_buffer_size()
        self._unread = self.loop.call_later(READ_S, self._close_unread, left)

    def _close_unread(self, left_before: int) -> None:
        if self.transport.get_write_buffer_size() < left_before:
            self._expect_reading()
        else:
            # `close` would wait until all is read.
            self.transport.abort()

    def _stop_expecting(self) -> None:
        if self._unread:
            self._unread.cancel()
            self._unread = None

    @property
    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _expect_head(self) -> None:
        if self._late is None:
            self._late = self.loop.call_later(HEAD_S, self._close_late)

    def _stop_waiting(self) -> None:
        if self._late:
            self._late.cancel()
            self._late = None

    def _close_late(self) -> None:
        self._late = None
        if not self._is_answering:
            self.transport.close()
