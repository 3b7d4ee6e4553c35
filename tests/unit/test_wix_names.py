"""Host names are resolved within the time that a call has left."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import httpcore
import pytest

from worker.errors import Retryable
from worker.wix.client import ClientFactory
from worker.wix.deadline import DeadlineTransport
from worker.wix.names import resolve


@pytest.fixture
def silent() -> Iterator[threading.Event]:
    """A name server that does not answer until the test ends."""
    over = threading.Event()
    yield over
    over.set()


def test_a_name_server_that_does_not_answer_ends_in_a_timeout(silent: threading.Event) -> None:
    """The C library alone would block for ten seconds or more."""

    def look_up(host: str, port: int) -> list[str]:
        silent.wait()
        return [f"{host}:{port}"]

    with pytest.raises(httpcore.ConnectTimeout, match=r"did not answer for www\.wixapis\.com"):
        resolve("www.wixapis.com", 443, 0.01, look_up=look_up)


def test_a_name_that_does_not_exist_is_a_connection_error() -> None:
    """Nothing was sent, so the call can be repeated."""

    def look_up(host: str, port: int) -> list[str]:
        raise OSError(f"no such name: {host} {port}")

    with pytest.raises(httpcore.ConnectError, match="no such name"):
        resolve("nowhere.invalid", 443, 5.0, look_up=look_up)


def test_the_system_resolves_names() -> None:
    """The real resolver, with an address that needs no network."""
    assert resolve("127.0.0.1", 443, 5.0) == ["127.0.0.1"]


class Network(httpcore.NetworkBackend):
    """Records the addresses that are tried; none of them answers."""

    def __init__(self) -> None:
        self.tried: list[tuple[str, float | None]] = []

    def connect_tcp(
        self, host: str, port: int, timeout: float | None = None, *_: object
    ) -> httpcore.NetworkStream:
        """Record the address and refuse."""
        self.tried.append((host, timeout))
        raise httpcore.ConnectError(f"connection to {host}:{port} refused")


def test_every_address_is_tried_and_resolution_counts_towards_the_total() -> None:
    """Two addresses have the two seconds that the name server left of five."""
    network, now = Network(), [0.0]

    def slow(host: str, port: int, limit_s: float) -> list[str]:
        assert (host, port, limit_s) == ("wix.test", 80, 5.0)
        now[0] += 3.0
        return ["192.0.2.1", "192.0.2.2"]

    factory = ClientFactory(
        "http://wix.test",
        connect_timeout_ms=5_000,
        read_timeout_ms=5_000,
        total_timeout_ms=5_000,
        transport=lambda: DeadlineTransport(
            5_000, backend=network, monotonic=lambda: now[0], resolve=slow
        ),
    )
    with pytest.raises(Retryable, match="ConnectError"):
        factory.store("site-1", "IST.key", before_mutation=lambda: None).get_order("o")
    assert network.tried == [("192.0.2.1", 2.0), ("192.0.2.2", 2.0)]
