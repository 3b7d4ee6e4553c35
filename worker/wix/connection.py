"""One HTTP/1.1 connection to Wix: it makes one call at a time, and each call has a deadline."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import NamedTuple

import httpcore
import httpx

from worker.wix.compression import decompressed
from worker.wix.exchange import MAX_BODY_BYTES, Answer, Asked, Origin, Place, answer_from
from worker.wix.http import AnswerReader, request_bytes
from worker.wix.network_errors import ERRORS, httpx_error

READ_BYTES = 64 * 1024


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
        self.expires_s = 0.0
        """When it is too old for another call; monotonic time."""

    def is_usable(self, now_s: float) -> bool:
        """Whether it can make another call: not too old, and not closed by the server."""
        return now_s < self.expires_s and not self._stream.get_extra_info("is_readable")

    def call(self, asked: Asked, place: Place) -> Answer:
        """Send the request and read the whole answer."""
        try:
            reader = self._begin(asked, place)
            while not reader.is_complete and reader.length <= MAX_BODY_BYTES:
                reader.feed(self._read(place))
        except BaseException:
            self.close()
            raise
        self._end(reader)
        if reader.length > MAX_BODY_BYTES:
            raise httpcore.ReadTimeout("the answer is too long")
        body = decompressed(reader.headers, b"".join(reader.chunks))
        return answer_from(reader.status, reader.headers, body)

    def open(self, asked: Asked, place: Place) -> httpx.Response:
        """Send the request and read the headers of the answer; its stream reads the body."""
        try:
            reader = self._begin(asked, place)
        except BaseException:
            self.close()
            raise
        body = _Body(self._body(reader, place), lambda: self._end(reader))
        return httpx.Response(reader.status, headers=reader.headers, stream=body)

    def _begin(self, asked: Asked, place: Place) -> AnswerReader:
        """Send the request and read the headers of the answer."""
        sent = request_bytes(asked, place.prefix + asked.path.encode("ascii"))
        limit_s = self.deadline.limit(place.timeouts_s.get("write"), httpcore.WriteTimeout)
        # A server may answer before it has read the request, and close the connection.
        with suppress(httpcore.WriteError):
            self._stream.write(sent, limit_s)
        reader = AnswerReader()
        while not reader.status:
            reader.feed(self._read(place))
        return reader

    def _body(self, reader: AnswerReader, place: Place) -> Iterator[bytes]:
        # The caller may be one of httpx's.
        try:
            while True:
                chunks, reader.chunks = reader.chunks, []
                yield from chunks
                if reader.is_complete:
                    return
                reader.feed(self._read(place))
        except ERRORS as error:
            raise httpx_error(error) from error

    def _read(self, place: Place) -> bytes:
        limit_s = self.deadline.limit(place.timeouts_s.get("read"), httpcore.ReadTimeout)
        return self._stream.read(READ_BYTES, limit_s)

    def _end(self, reader: AnswerReader) -> None:
        """Keep the connection if it can make another call; close it otherwise."""
        if reader.is_reusable:
            self._keep(self)
        else:
            self.close()

    def close(self) -> None:
        """Close the connection."""
        self._stream.close()


class _Body(httpx.SyncByteStream):
    """The body of an answer."""

    def __init__(self, content: Iterator[bytes], end: Callable[[], None]) -> None:
        self._content = content
        self._end = end

    def __iter__(self) -> Iterator[bytes]:
        return self._content

    def close(self) -> None:
        self._end()
