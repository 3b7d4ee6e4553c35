"""HTTP/1.1 on the wire: the bytes of a request, and an answer as llhttp reads it (httptools)."""

from __future__ import annotations

import re

from httptools import HttpResponseParser

from worker.wix.exchange import MAX_BODY_BYTES, Asked

#: Maximum size of the status line and the headers of an answer.
MAX_HEAD_BYTES = 100 * 1024
#: Maximum size of all that comes for one call. The sizes of chunks, and what follows the last one,
#: are no part of the body; small chunks take some times as much.
MAX_ANSWER_BYTES = MAX_HEAD_BYTES + 2 * MAX_BODY_BYTES
#: Interim answers, such as 100 Continue, have statuses below.
_FINAL = 200
#: The headers that say where the body ends; without them, it ends with the connection.
_SAY_LENGTH = frozenset({b"content-length", b"transfer-encoding"})
#: Control characters: with a line break in it a header could begin another one.
_UNSAFE = re.compile(rb"[^\t\x20-\x7e\x80-\xff]")


class UnsafeRequest(Exception):
    """A request that cannot be sent."""


class BrokenAnswer(Exception):
    """What came is no answer, or not a whole one."""


def request_bytes(asked: Asked, target: bytes) -> bytes:
    """Return a request as it is sent. Raises UnsafeRequest."""
    lines = [b"%s %s HTTP/1.1" % (asked.method.encode(), target)]
    lines += [b"%s: %s" % header for header in asked.headers]
    if _UNSAFE.search(b"".join(lines)) or b" " in target:
        raise UnsafeRequest("a header or the path has a character that HTTP does not allow")
    return b"\r\n".join((*lines, b"", asked.content))


class AnswerReader:
    """Reads one answer. llhttp calls the methods named `on_...`."""

    def __init__(self) -> None:
        self._parser = HttpResponseParser(self)
        self._bytes = 0
        self._ends_with_the_connection = True
        self._followed = False
        self._kept_alive = False
        self.status = 0
        """The HTTP status; 0 until the headers were read."""
        self.headers: list[tuple[bytes, bytes]] = []
        """Their names in lower case."""
        self.chunks: list[bytes] = []
        """The parts of the body that were read, compressed or not."""
        self.length = 0
        """How many bytes of the body were read."""
        self.is_complete = False
        """Whether the whole answer was read."""

    @property
    def is_reusable(self) -> bool:
        """Whether the connection can make another call: this one is complete, nothing follows."""
        # What follows a complete answer would be taken for the answer to the next call.
        return self.is_complete and self._kept_alive and not self._followed

    def feed(self, data: bytes) -> None:
        """Read what came from the connection; b"" if the server closed it. Raises BrokenAnswer."""
        if not data:
            if not self.status or not self._ends_with_the_connection:
                raise BrokenAnswer(
                    "the server closed the connection before the answer was complete"
                )
            self.is_complete = True
            return
        try:
            self._parser.feed_data(data)
        except Exception as error:
            # Beside its own errors it raises one for another protocol (HttpParserUpgrade).
            if not self.is_complete:
                raise BrokenAnswer(f"not an HTTP answer: {error}") from error
            self._followed = True
        self._bytes += len(data)
        if self._bytes > (MAX_ANSWER_BYTES if self.status else MAX_HEAD_BYTES):
            raise BrokenAnswer("the answer is too long")

    def on_message_begin(self) -> None:
        """Note that an answer begins, maybe after a complete one."""
        self._followed = self._followed or self.is_complete

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header, or drop the trailer of a body in chunks."""
        if self.status or self.is_complete:
            return
        name = name.lower()
        self.headers.append((name, value))
        if name in _SAY_LENGTH:
            self._ends_with_the_connection = False

    def on_headers_complete(self) -> None:
        """Take the status, if this is not an interim answer."""
        status = self._parser.get_status_code()
        if status < _FINAL:
            self.headers.clear()
        elif not self.is_complete:
            self.status = status

    def on_body(self, body: bytes) -> None:
        """Keep a part of the body; that of an interim answer is none."""
        if self.status and not self.is_complete:
            self.chunks.append(body)
            self.length += len(body)

    def on_message_complete(self) -> None:
        """Note the end of the answer."""
        if self.status and not self.is_complete:
            self.is_complete = True
            self._kept_alive = self._parser.should_keep_alive()
