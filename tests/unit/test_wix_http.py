"""What is taken for an answer, and what is not."""

from __future__ import annotations

from collections.abc import Iterable

import h11
import pytest

from worker.wix.exchange import Asked
from worker.wix.http import (
    MAX_ANSWER_BYTES,
    AnswerReader,
    BrokenAnswer,
    UnsafeRequest,
    request_bytes,
)

OK = b"HTTP/1.1 200 OK\r\n"
WHOLE = OK + b"Content-Length: 2\r\n\r\n{}"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\nTrailer: X\r\n\r\n2\r\n{}\r\n0\r\nX: y\r\n\r\n"
CLOSED = b""


def _read(*pieces: bytes) -> AnswerReader:
    reader = AnswerReader()
    _feed(reader, pieces)
    return reader


def _feed(reader: AnswerReader, pieces: Iterable[bytes]) -> None:
    for piece in pieces:
        reader.feed(piece)


@pytest.mark.parametrize(
    ("pieces", "is_reusable"),
    [
        ((WHOLE,), True),
        (tuple(WHOLE[at : at + 1] for at in range(len(WHOLE))), True),
        ((CHUNKED,), True),
        (tuple(CHUNKED[at : at + 1] for at in range(len(CHUNKED))), True),
        ((b"HTTP/1.1 100 Continue\r\nX: y\r\n\r\n" + WHOLE,), True),
        ((b"HTTP/1.1 103 Early\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n", WHOLE), True),
        ((b"HTTP/1.1 099 X\r\nContent-Length: 1\r\n\r\nx" + WHOLE,), True),
        ((OK + b"\r\n{", b"}", CLOSED), False),
        ((OK + b"Connection: close\r\nContent-Length: 2\r\n\r\n{}",), False),
        ((WHOLE.replace(b"1.1", b"1.0"),), False),
        ((WHOLE + WHOLE,), False),
        ((WHOLE + b"x",), False),
        ((WHOLE, b"x"), False),
    ],
)
def test_a_whole_answer_is_read(pieces: tuple[bytes, ...], *, is_reusable: bool) -> None:
    """In any pieces; its connection is used again only if nothing else can be on it."""
    reader = _read(*pieces)
    assert (reader.status, b"".join(reader.chunks), reader.length) == (200, b"{}", 2)
    assert reader.is_complete
    assert reader.is_reusable is is_reusable


def test_the_names_of_headers_are_read_in_lower_case() -> None:
    """Servers and proxies write them in any case."""
    reader = _read(OK + b"CONTENT-length: 2\r\nX-Wix-Consistent: Abc\r\n\r\n{}")
    assert reader.headers == [(b"content-length", b"2"), (b"x-wix-consistent", b"Abc")]
    assert reader.is_reusable


@pytest.mark.parametrize("status", [b"204", b"304"])
def test_some_answers_have_no_body(status: bytes) -> None:
    """Whatever length they state, as some proxies do for 304."""
    reader = _read(b"HTTP/1.1 " + status + b" X\r\nContent-Length: 2\r\n\r\n")
    assert reader.is_complete
    assert not reader.chunks


@pytest.mark.parametrize(
    "pieces",
    [
        (CLOSED,),
        (WHOLE[:10], CLOSED),
        (WHOLE[:-1], CLOSED),
        (CHUNKED[:-1], CLOSED),
        (b"<html>",),
        (OK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",),
        (OK + b"Content-Length: +2\r\n\r\n{}",),
        (OK + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",),
        (OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",),
        (OK + b"Transfer-Encoding: gzip\r\n\r\n{}", CLOSED),
        (OK + b"X: a\r\n b\r\nContent-Length: 2\r\n\r\n{}",),
        (OK + b"X: a\x00b\r\nContent-Length: 2\r\n\r\n{}",),
        (OK + b"X : a\r\nContent-Length: 2\r\n\r\n{}",),
        (b"HTTP/1.1 101 Other\r\n\r\n",),
        (b"HTTP/1.1 101 Other\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",),
        (b"HTTP/1.1 20 OK\r\nContent-Length: 2\r\n\r\n{}",),
    ],
)
def test_anything_else_is_no_answer(pieces: tuple[bytes, ...]) -> None:
    """Where two parsers could disagree about the end of an answer, there is none."""
    with pytest.raises(BrokenAnswer):
        assert not _read(*pieces).is_complete


@pytest.mark.parametrize("piece", [b"1;" + b"x" * 65_000, b"0\r\nX: " + b"x" * 65_000])
def test_an_answer_ends_whatever_is_around_its_body(piece: bytes) -> None:
    """Extensions of a chunk, and what follows the last one, are no part of the body."""
    reader = _read(OK + b"Transfer-Encoding: chunked\r\n\r\n" + piece)
    more = [b"x" * 65_000] * (MAX_ANSWER_BYTES // 65_000 + 1)
    with pytest.raises(BrokenAnswer, match="too long"):
        _feed(reader, more)


def test_a_request_is_sent_as_h11_would_send_it() -> None:
    """Byte for byte."""
    headers = ((b"Host", b"wix.test"), (b"Content-Length", b"2"), (b"X-Any", b"a b\xe9"))
    sent = request_bytes(Asked("POST", "/a", headers, b"{}"), b"/a")
    connection = h11.Connection(h11.CLIENT)
    request = h11.Request(method="POST", target=b"/a", headers=list(headers))
    parts = [connection.send(request), connection.send(h11.Data(data=b"{}"))]
    assert sent == b"".join(part or b"" for part in parts)


@pytest.mark.parametrize("text", [b"a\r\nX: b", b"a\nb", b"a\x00", b"\x7f"])
def test_a_header_that_could_begin_another_is_not_sent(text: bytes) -> None:
    """A key from a clipboard may hold a line break."""
    with pytest.raises(UnsafeRequest):
        request_bytes(Asked("GET", "/", ((b"Authorization", text),), b""), b"/")
    with pytest.raises(UnsafeRequest):
        request_bytes(Asked("GET", "/", (), b""), b"/a b")
