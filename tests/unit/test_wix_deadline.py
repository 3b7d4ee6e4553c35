"""The total timeout applies to each part of a call. The network is simulated."""

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
ORDER = (
    b'{"order": {"createdDate": "2024-01-01T00:00:00Z", "status": "APPROVED", "currency": "USD"}}'
)
GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(ORDER), ORDER)


class Slow(httpcore.NetworkStream, httpcore.NetworkBackend):
    """A slow network with its own clock."""

    def __init__(self, answer: Iterator[bytes], *, connect_s: float = 0.0) -> None:
        self.now_s = 0.0
        self.asked: list[bytes] = []
        self._answer = answer
        self._connect_s = connect_s

    def connect_tcp(self, *_: Any, **__: Any) -> httpcore.NetworkStream:
        """Connect after `connect_s`."""
        self.now_s += self._connect_s
        return self

    def start_tls(self, *_: Any, **__: Any) -> httpcore.NetworkStream:
        """Skip the encryption."""
        return self

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Record what is sent."""
        assert timeout is not None
        self.asked.append(buffer)

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Return the next piece after 4 s; one read may take 5 s."""
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
def test_a_slow_answer_is_cut_off_at_the_total_timeout(start: bytes, scheme: str) -> None:
    """Even if each piece arrives in time: a step must not outlive its lease."""
    network = Slow(_trickle(start))
    with pytest.raises(EffectUnknown, match="ReadTimeout"):
        _store(network, scheme).cancel_order("o", restock=False, notify_buyer=False)
    assert network.now_s == 14.0


def test_nothing_is_sent_after_the_total_timeout() -> None:
    """If connecting took too long, the request is not sent."""
    network = Slow(iter(()), connect_s=15.0)
    with pytest.raises(EffectUnknown, match="WriteTimeout"):
        _store(network).cancel_order("o", restock=False, notify_buyer=False)
    assert network.asked == []


def test_each_call_has_the_full_timeout() -> None:
    """Also when calls share a connection."""
    network = Slow(iter([GOOD] * 9))
    store = _store(network)
    for _ in range(9):
        assert store.get_order("o").status == "APPROVED"
    assert network.now_s == 36.0


def test_a_lost_connection_is_reported_as_such() -> None:
    """The deadline does not hide other errors."""
    with pytest.raises(Retryable, match="RemoteProtocolError"):
        _store(Slow(repeat(b""))).get_order("o")
