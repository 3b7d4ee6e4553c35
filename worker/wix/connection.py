"""One HTTP/1.1 connection to Wix: it makes one call at a time, and each call has a deadline."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, NamedTuple

import h11
import httpcore
import httpx

#: Maximum size of the status line and the headers of an answer.
MAX_HEAD_BYTES = 100 * 1024
READ_BYTES = 64 * 1024

#: httpx's error for each error of a connection: what a transport of httpx's raises.
HTTPX_ERRORS: Mapping[type[Exception], type[httpx.TransportError]] = MappingProxyType(
    {
        httpcore.ConnectError: httpx.ConnectError,
        httpcore.ConnectTimeout: httpx.ConnectTimeout,
        httpcore.ReadError: httpx.ReadError,
        httpcore.ReadTimeout: httpx.ReadTimeout,
        httpcore.WriteTimeout: httpx.WriteTimeout,
        h11.LocalProtocolError: httpx.LocalProtocolError,
        h11.RemoteProtocolError: httpx.RemoteProtocolError,
    }
)


@contextmanager
def httpx_errors() -> Iterator[None]:
    """Raise httpx's error in place of one of a connection."""
    try:
        yield
    except tuple(HTTPX_ERRORS) as error:
        raised = next(to for known, to in HTTPX_ERRORS.items() if isinstance(error, known))
        raise raised(str(error)) from error


#: Scheme, host and port.
Origin = tuple[str, str, int]


class Deadline:
    """The deadline of the current call of a connection."""

    def __init__(self, monotonic: Callable[[], float], total_s: float) -> None:
        self._monotonic = monotonic
        self.begin(total_s)

    def begin(self, total_s: float) -> None:
        """Begin a call, which may take *total_s*."""
        self._until = self._monotonic() + total_s

    def limit(self, timeout_s: float | None, over: type[Exception]) -> float:
        """Return the time that one wait may take, in seconds; raise *over* if no time is left."""
        left = self._until - self._monotonic()
        if left <= 0:
            raise over("the call took longer than the total timeout")
        return left if timeout_s is None else min(timeout_s, left)


class Line(NamedTuple):
    """An open connection, before HTTP."""

    origin: Origin
    stream: httpcore.NetworkStream
    deadline: Deadline


class Connection:
    """Sends a request and reads the answer; *keep* takes the connection when a call is complete."""

    def __init__(self, line: Line, keep: Callable[[Connection], None]) -> None:
        self.origin, self._stream, self.deadline = line
        self._keep = keep
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD_BYTES)
        self.expires_s = 0.0
        """When it is too old for another call; monotonic time."""

    def is_usable(self, now_s: float) -> bool:
        """Whether it can make another call: not too old, and not closed by the server."""
        return now_s < self.expires_s and not self._stream.get_extra_info("is_readable")

    def call(self, request: httpx.Request) -> httpx.Response:
        """Send the request and read the headers of the answer; its stream reads the body."""
        timeouts = request.extensions.get("timeout", {})
        try:
            self._send(request, timeouts.get("write"))
            head = self._head(timeouts.get("read"))
        except BaseException:
            self.close()
            raise
        return httpx.Response(
            head.status_code,
            headers=head.headers.raw_items(),
            stream=_Body(self, timeouts.get("read")),
        )

    def _send(self, request: httpx.Request, timeout_s: float | None) -> None:
        asked = h11.Request(
            method=request.method, target=request.url.raw_path, headers=request.headers.raw
        )
        content = request.read()
        parts = [self._http.send(asked)]
        parts += [self._http.send(h11.Data(data=content))] if content else []
        parts.append(self._http.send(h11.EndOfMessage()))
        limit_s = self.deadline.limit(timeout_s, httpcore.WriteTimeout)
        try:
            self._stream.write(b"".join(part for part in parts if part), limit_s)
        except httpcore.WriteError:
            # A server may answer before it has read the request, and close the connection.
            return

    def _head(self, timeout_s: float | None) -> h11.Response:
        while not isinstance(event := self._next(timeout_s), h11.Response):
            pass
        return event

    def body(self, timeout_s: float | None) -> Iterator[bytes]:
        """Yield the body of the answer."""
        while not isinstance(event := self._next(timeout_s), h11.EndOfMessage):
            if isinstance(event, h11.Data):
                yield bytes(event.data)

    def _next(self, timeout_s: float | None) -> Any:
        while (event := self._http.next_event()) is h11.NEED_DATA:
            limit_s = self.deadline.limit(timeout_s, httpcore.ReadTimeout)
            data = self._stream.read(READ_BYTES, limit_s)
            if not data and self._http.their_state is h11.SEND_RESPONSE:
                raise h11.RemoteProtocolError("the server closed the connection without an answer")
            self._http.receive_data(data)
        return event

    def end_call(self) -> None:
        """Keep the connection for another call, if this one is complete; close it otherwise."""
        is_complete = self._http.our_state is h11.DONE and self._http.their_state is h11.DONE
        # What follows a complete answer would be taken for the answer to the next call.
        if is_complete and self._http.trailing_data == (b"", False):
            self._http.start_next_cycle()
            self._keep(self)
        else:
            self.close()

    def close(self) -> None:
        """Close the connection."""
        self._stream.close()


class _Body(httpx.SyncByteStream):
    """The body of an answer. Closing it ends the call."""

    def __init__(self, connection: Connection, timeout_s: float | None) -> None:
        self._connection: Connection | None = connection
        self._timeout_s = timeout_s

    def __iter__(self) -> Iterator[bytes]:
        connection = self._connection
        if connection is None:
            return
        with httpx_errors():
            yield from connection.body(self._timeout_s)

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection:
            connection.end_call()
