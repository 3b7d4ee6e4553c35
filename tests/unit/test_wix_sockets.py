"""Our own stream on a socket does what httpcore's does: it tells errors and timeouts apart."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator

import httpcore
import pytest

from worker.wix.sockets import SocketStream, direct


@pytest.fixture
def pair() -> Iterator[tuple[SocketStream, socket.socket]]:
    """Return a stream and the other end of its connection."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield SocketStream(ours), theirs


def test_what_is_sent_arrives_whole(pair: tuple[SocketStream, socket.socket]) -> None:
    """In both directions, and it is seen before it is read."""
    stream, theirs = pair
    stream.write(b"asked", 5)
    assert theirs.recv(10) == b"asked"
    assert stream.get_extra_info("is_readable") is False
    theirs.sendall(b"answered")
    assert stream.get_extra_info("is_readable") is True
    assert stream.read(100, 5) == b"answered"
    assert stream.get_extra_info("socket") is None


def test_a_connection_that_was_closed_is_readable(
    pair: tuple[SocketStream, socket.socket],
) -> None:
    """So it is not used again, whoever closed it."""
    stream, theirs = pair
    theirs.close()
    assert stream.get_extra_info("is_readable") is True
    assert stream.read(100, 5) == b""
    stream.close()
    assert stream.get_extra_info("is_readable") is True


@pytest.mark.parametrize(
    ("use", "error"),
    [
        (lambda stream: stream.read(1, 0.001), httpcore.ReadTimeout),
        (lambda stream: stream.write(b"x" * 50_000_000, 0.001), httpcore.WriteTimeout),
    ],
    ids=["read", "write"],
)
def test_a_wait_ends_with_its_timeout(
    use: Callable[[SocketStream], object],
    error: type[Exception],
    pair: tuple[SocketStream, socket.socket],
) -> None:
    """The other end neither sends nor reads."""
    with pytest.raises(error):
        use(pair[0])


@pytest.mark.parametrize(
    ("use", "error"),
    [
        (lambda stream: stream.read(1, 5), httpcore.ReadError),
        (lambda stream: stream.write(b"x", 5), httpcore.WriteError),
    ],
    ids=["read", "write"],
)
def test_a_broken_connection_is_no_timeout(
    use: Callable[[SocketStream], object],
    error: type[Exception],
    pair: tuple[SocketStream, socket.socket],
) -> None:
    """As after a reset."""
    pair[0].close()
    with pytest.raises(error):
        use(pair[0])


def test_a_stream_without_a_socket_stays_as_it_is() -> None:
    """Such as those of tests."""
    stream = httpcore.NetworkStream()
    assert direct(stream) is stream
