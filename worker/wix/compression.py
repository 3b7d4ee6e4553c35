"""The body of an answer, decompressed without more memory than the longest answer takes."""

from __future__ import annotations

import zlib
from collections.abc import Iterable

from worker.wix.exchange import MAX_BODY_BYTES
from worker.wix.http import BrokenAnswer

#: What zlib calls each encoding that we ask for; some servers send "deflate" without its header.
_FORMATS = {b"gzip": (31,), b"deflate": (zlib.MAX_WBITS, -zlib.MAX_WBITS)}


def decompressed(headers: Iterable[tuple[bytes, bytes]], body: bytes) -> bytes:
    """Return the body of an answer with these headers, whose names are in lower case.

    A few kilobytes can stand for gigabytes, so it is not decompressed any further than an answer
    may be long, and never twice.

    Raises:
        BrokenAnswer: it is damaged, too long, or in an encoding that was not asked for.
    """
    named = [text.strip().lower() for name, text in headers if name == b"content-encoding"]
    encodings = [name for name in named if name not in {b"", b"identity"}]
    if not encodings or not body:
        return body
    if len(encodings) > 1 or encodings[0] not in _FORMATS:
        raise BrokenAnswer("the answer has an encoding that was not asked for")
    for wbits in _FORMATS[encodings[0]]:
        unpacking = zlib.decompressobj(wbits)
        try:
            content = unpacking.decompress(body, MAX_BODY_BYTES + 1)
        except zlib.error:
            continue
        if len(content) > MAX_BODY_BYTES:
            raise BrokenAnswer("the answer is too long")
        if unpacking.eof:
            return content
    raise BrokenAnswer("the answer cannot be decompressed")
