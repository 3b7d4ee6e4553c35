"""The total timeout holds for every part of a call, on a network that the test makes up."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import repeat
from typing import Any

import httpcore
import pytest

from worker.errors import EffectUnknown, Retryable
from worker.wix.client import ClientFactory, WixStore
from worker.wix.deadline import DeadlineTransport

HEADERS = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-A: "
ORDER = b'{"order": {"id": "o", "createdDate": "2024-01-01T00:00:00Z", "status": "APPROVED"}}'
GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(ORDER), ORDER)


class Slow(httpcore.NetworkStream, httpcore.NetworkBackend):
    """A network on which everything takes its time, by a clock of its own."""

    def __init__(self, answer: Iterator[bytes], *, connect_s: float = 0.0) -> None:
        self.now_s = 0.0
        self.asked: list[bytes] = []
        self._answer = answer
        self._connect_s = connect_s

    def connect_tcp(self, *_: Any, **__: Any) -> httpcore.NetworkStream:
        """Connect, slowly."""
        self.now_s += self._connect_s
        return self

    def start_tls(self, *_: Any, **__: Any) -> httpcore.NetworkStream:
        """As good as encrypted."""
        return self

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Sent at once."""
        assert timeout is not None
        self.asked.append(buffer)

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Another piece, after four of the five seconds that one read may take."""
        assert max_bytes
        assert timeout is not None
        self.now_s += min(timeout, 4.0)
        if timeout < 4.0:
            raise httpcore.ReadTimeout
        return next(self._answer)

    def close(self) -> None:
        """Nothing to close."""


def _store(network: Slow, scheme: str = "http") -> WixStore:
    factory = ClientFactory(
        f"{scheme}://wix.test",
        connect_timeout_ms=5_000,
        read_timeout_ms=5_000,
        total_timeout_ms=14_000,
        transport=lambda: DeadlineTransport(
            14_000,
            backend=network,
            monotonic=lambda: network.now_s,
            resolve=lambda host, *_: [host],
        ),
    )
    return factory.store("site-1", "IST.key", before_mutation=lambda: None)


def _trickle(start: bytes) -> Iterator[bytes]:
    yield start
    yield from repeat(b"a")


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize(
    "start", [HEADERS, HEADERS + b"a\r\nContent-Length: 1000\r\n\r\n"], ids=["headers", "body"]
)
def test_a_server_that_trickles_is_cut_off_in_time(start: bytes, scheme: str) -> None:
    """Every piece comes in time, the whole does not: the step must not outlive its lease."""
    network = Slow(_trickle(start))
    with pytest.raises(EffectUnknown, match="ReadTimeout"):
        _store(network, scheme).cancel_order("o", restock=False, notify_buyer=False)
    assert network.now_s == 14.0


def test_nothing_is_sent_after_the_total_time() -> None:
    """Connecting took longer, to one address after the other: the call may not leave any more."""
    network = Slow(iter(()), connect_s=15.0)
    with pytest.raises(EffectUnknown, match="WriteTimeout"):
        _store(network).cancel_order("o", restock=False, notify_buyer=False)
    assert network.asked == []


def test_every_call_has_the_whole_time() -> None:
    """On one connection, one after the other."""
    network = Slow(iter([GOOD] * 9))
    store = _store(network)
    for _ in range(9):
        assert store.get_order("o").id == "o"
    assert network.now_s == 36.0


def test_a_lost_connection_is_still_told() -> None:
    """As without a deadline."""
    with pytest.raises(Retryable, match="RemoteProtocolError"):
        _store(Slow(repeat(b""))).get_order("o")
