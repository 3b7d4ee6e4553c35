"""Compressed answers: what is read, and what would take too much memory."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib

import pytest

from worker.wix.compression import decompressed
from worker.wix.exchange import MAX_BODY_BYTES
from worker.wix.http import BrokenAnswer

TEXT = b'{"order": {}}'
PACKED = gzip.compress(TEXT, mtime=0)
DEFLATED = zlib.compress(TEXT)
NAME = b"content-encoding"


@pytest.mark.parametrize(
    ("encodings", "body"),
    [
        ((), TEXT),
        ((b"identity",), TEXT),
        ((b"",), TEXT),
        ((b"GZip",), PACKED),
        ((b"gzip", b"identity"), PACKED),
        ((b"deflate",), DEFLATED),
        ((b" deflate ",), DEFLATED[2:-4]),
    ],
    ids=["none", "identity", "empty", "gzip", "both", "deflate", "without its header"],
)
def test_what_we_ask_for_is_read(encodings: tuple[bytes, ...], body: bytes) -> None:
    """Some servers send "deflate" without its header."""
    assert decompressed([(NAME, name) for name in encodings], body) == TEXT


def test_an_answer_without_a_body_has_nothing_to_decompress() -> None:
    """Whatever its headers say."""
    assert decompressed([(NAME, b"gzip")], b"") == b""


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        (b"gzip", PACKED[:-9]),
        (b"gzip", TEXT),
        (b"deflate", PACKED),
        (b"br", TEXT),
        (b"gzip, gzip", gzip.compress(PACKED, mtime=0)),
    ],
    ids=["cut", "not compressed", "otherwise", "not asked for", "twice"],
)
def test_anything_else_is_no_answer(encoding: bytes, body: bytes) -> None:
    """After a mutating call the effect is unknown."""
    with pytest.raises(BrokenAnswer):
        decompressed([(NAME, encoding)], body)


def test_a_short_answer_cannot_take_all_memory() -> None:
    """It is decompressed only as far as an answer may be long: 60 kB here stand for 60 MB."""
    bomb = gzip.compress(bytes(60_000_000))
    tracemalloc.start()
    try:
        with pytest.raises(BrokenAnswer, match="too long"):
            decompressed([(NAME, b"gzip")], bomb)
        assert tracemalloc.get_traced_memory()[1] < 3 * MAX_BODY_BYTES
    finally:
        tracemalloc.stop()
