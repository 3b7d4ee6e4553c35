"""The bytes of calls and answers on the wire, and which connection is used again."""

from __future__ import annotations

import gzip
import threading
from collections import deque
from typing import Any

import httpcore
import httpx
import pytest

from worker.errors import CallFailed, EffectUnknown, Retryable
from worker.wix.client import ClientFactory, WixStore
from worker.wix.deadline import KEEP_ALIVE_S, DeadlineTransport
from worker.wix.http import MAX_HEAD_BYTES

ORDER = (
    b'{"order": {"createdDate": "2024-01-01T00:00:00Z", "status": "APPROVED", "currency": "USD"}}'
)
LENGTH = b"Content-Length: %d\r\n" % len(ORDER)


def _answer(headers: bytes = LENGTH, body: bytes = ORDER) -> bytes:
    return b"HTTP/1.1 200 OK\r\n" + headers + b"\r\n" + body


class Wire(httpcore.NetworkStream):
    """One connection; `answers` are the pieces that it reads, b"" when the server closes it."""

    def __init__(self, answers: deque[bytes]) -> None:
        self.answers = answers
        self.sent: list[bytes] = []
        self.write_error: Exception | None = None
        self.is_readable = False
        self.is_closed = False

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Record what is sent."""
        assert timeout is not None
        self.sent.append(buffer)
        if self.write_error:
            raise self.write_error

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Return the next piece."""
        assert max_bytes
        assert timeout is not None
        return self.answers.popleft()

    def get_extra_info(self, info: str) -> Any:
        """Return whether something can be read."""
        return self.is_readable if info == "is_readable" else None

    def close(self) -> None:
        """Remember it."""
        self.is_closed = True


class Network(httpcore.NetworkBackend):
    """All connections read the same answers; it has its own clock."""

    def __init__(self, *answers: bytes) -> None:
        self.answers = deque(answers)
        self.wires: list[Wire] = []
        self.now_s = 100.0

    def connect_tcp(self, *_: Any, **__: Any) -> httpcore.NetworkStream:
        """Open one more connection."""
        self.wires.append(Wire(self.answers))
        return self.wires[-1]

    def store(self, api_key: str = "IST.key") -> WixStore:
        """Return a client of this network."""
        transport = DeadlineTransport(
            5_000,
            backend=self,
            monotonic=lambda: self.now_s,
            resolve=lambda host, *_: [host],
        )
        factory = ClientFactory(
            "http://wix.test:8080",
            connect_timeout_ms=1_000,
            read_timeout_ms=1_000,
            total_timeout_ms=5_000,
            transport=lambda: transport,
        )
        return factory.store("site-1", api_key, before_mutation=lambda: None)


def test_a_call_sends_exactly_these_bytes_at_once() -> None:
    """The first has no token; the second has the token of the first, and a body."""
    network = Network(_answer(LENGTH + b"X-Wix-Consistent: t-1\r\n"), _answer())
    store = network.store()
    store.get_order("o/1 ü?#%41")
    store.cancel_order("o", restock=False, notify_buyer=True)
    always = (
        b"Host: wix.test:8080\r\n"
        b"Accept-Encoding: gzip, deflate\r\n"
        b"Connection: keep-alive\r\n"
        b"User-Agent: python-httpx/" + httpx.__version__.encode() + b"\r\n"
        b"Authorization: IST.key\r\n"
        b"Accept: application/json\r\n"
        b"wix-site-id: site-1\r\n"
    )
    assert network.wires[0].sent == [
        b"GET /ecom/v1/orders/o%2F1%20%C3%BC%3F%23%2541 HTTP/1.1\r\n" + always + b"\r\n",
        b"POST /ecom/v1/orders/o/cancel HTTP/1.1\r\n" + always + b"X-Wix-Consistent: t-1\r\n"
        b"Content-Length: 55\r\nContent-Type: application/json\r\n\r\n"
        b'{"restockAllItems":false,"sendOrderCanceledEmail":true}',
    ]


def test_a_body_is_compact_json_in_utf8() -> None:
    """As httpx writes it; a float that JSON does not have is refused."""
    network = Network(_answer())
    with pytest.raises(EffectUnknown):
        network.store().submit_refund("o", {"customerReason": "ü \u2028", "n": [1, None]})
    body = network.wires[0].sent[0].partition(b"\r\n\r\n")[2]
    assert body == '{"orderId":"o","customerReason":"ü \u2028","n":[1,null]}'.encode()
    with pytest.raises(ValueError, match="JSON"):
        Network().store().submit_refund("o", {"n": float("nan")})


PACKED = gzip.compress(ORDER)


@pytest.mark.parametrize(
    "pieces",
    [
        (_answer()[:20], _answer()[20:70], _answer()[70:]),
        (b"HTTP/1.1 100 Continue\r\n\r\n", _answer()),
        (
            _answer(
                b"Transfer-Encoding: chunked\r\n", b"%x\r\n%s\r\n0\r\n\r\n" % (len(ORDER), ORDER)
            ),
        ),
        (_answer(b"Content-Encoding: gzip\r\nContent-Length: %d\r\n" % len(PACKED), PACKED),),
        (_answer(b""), b""),
    ],
    ids=["in pieces", "after an interim answer", "chunked", "compressed", "until closed"],
)
def test_every_form_of_an_answer_is_read(pieces: tuple[bytes, ...]) -> None:
    """Whatever HTTP allows a server, or a proxy before it."""
    assert Network(*pieces).store().get_order("o").status == "APPROVED"


@pytest.mark.parametrize(
    "pieces",
    [
        (b"",),
        (b"<html>\r\n\r\n",),
        (_answer(b"Content-Length: 1000\r\n"), b""),
        (_answer(b"Transfer-Encoding: chunked\r\n", b"zz\r\n"),),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * MAX_HEAD_BYTES, b"x"),
        (b"HTTP/1.1 101 Switching Protocols\r\n\r\n",),
    ],
    ids=["none", "no HTTP", "cut", "chunks", "endless headers", "another protocol"],
)
def test_an_answer_that_is_not_http_tells_nothing(pieces: tuple[bytes, ...]) -> None:
    """After a mutating call the effect is unknown; the connection is closed."""
    network = Network(*pieces)
    with pytest.raises(EffectUnknown, match="RemoteProtocolError"):
        network.store().cancel_order("o", restock=False, notify_buyer=False)
    assert network.wires[0].is_closed


def test_an_answer_counts_even_if_the_server_did_not_read_the_request() -> None:
    """A server may refuse a request that it has not read completely."""
    network = Network(_answer(), b"HTTP/1.1 428 X\r\nContent-Length: 2\r\n\r\n{}")
    store = network.store()
    store.get_order("o")
    network.wires[0].write_error = httpcore.WriteError()
    with pytest.raises(EffectUnknown, match="HTTP 428"):
        store.cancel_order("o", restock=False, notify_buyer=False)


def test_a_key_that_cannot_be_a_header_is_not_sent() -> None:
    """A line break in it would begin a header of its own."""
    network = Network()
    with pytest.raises(CallFailed, match="LocalProtocolError"):
        network.store("IST.a\r\nX-B: c").get_order("o")
    assert network.wires[0].sent == []
    assert network.wires[0].is_closed


def test_calls_share_a_connection() -> None:
    """Connecting takes longer than many a call."""
    network = Network(*[_answer()] * 3)
    store = network.store()
    for _ in range(3):
        store.get_order("o")
    assert [len(wire.sent) for wire in network.wires] == [3]


def _closed_by_the_server(network: Network) -> None:
    network.wires[0].is_readable = True


def _idle_for_long(network: Network) -> None:
    network.now_s += KEEP_ALIVE_S


@pytest.mark.parametrize("happens", [_closed_by_the_server, _idle_for_long])
def test_an_old_connection_is_not_used_again(happens: Any) -> None:
    """A call on a closed connection would have an unknown effect."""
    network = Network(_answer(), _answer())
    store = network.store()
    store.get_order("o")
    happens(network)
    store.get_order("o")
    assert [wire.is_closed for wire in network.wires] == [True, False]


@pytest.mark.parametrize(
    "answer",
    [
        _answer(LENGTH + b"Connection: close\r\n"),
        _answer() + _answer(),
        _answer().replace(b"HTTP/1.1", b"HTTP/1.0"),
    ],
    ids=["the server closes it", "more than one answer", "HTTP 1.0"],
)
def test_a_connection_with_an_unclear_state_is_not_used_again(answer: bytes) -> None:
    """The rest of one answer must never be taken for the answer to another call."""
    network = Network(answer, _answer())
    store = network.store()
    store.get_order("o")
    assert network.wires[0].is_closed
    store.get_order("o")
    assert [len(wire.sent) for wire in network.wires] == [1, 1]


def test_an_answer_that_is_too_long_ends_its_connection() -> None:
    """Its rest is not read."""
    network = Network(_answer(b"Content-Length: 9999999\r\n", b""), *[b"x" * 2_600_000] * 2)
    with pytest.raises(Retryable, match="ReadTimeout"):
        network.store().get_order("o")
    assert network.wires[0].is_closed


def test_threads_never_share_a_connection_at_the_same_time() -> None:
    """The second call begins while the first waits for its answer; both connections are kept."""
    network = Network(_answer(), _answer(), *[_answer()] * 2)
    store = network.store()
    opened = network.connect_tcp

    class Nested(Wire):
        """Before it reads its answer, another thread makes a whole call."""

        def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
            """Let the other thread make its call."""
            if len(network.wires) == 1:
                other = threading.Thread(target=store.get_order, args=("b",))
                other.start()
                other.join()
            return super().read(max_bytes, timeout)

    def connect(*_: Any, **__: Any) -> httpcore.NetworkStream:
        if network.wires:
            return opened()
        network.wires.append(Nested(network.answers))
        return network.wires[-1]

    network.connect_tcp = connect  # type: ignore[method-assign]  # for the first connection
    store.get_order("a")
    assert [len(wire.sent) for wire in network.wires] == [1, 1]
    store.get_order("c")
    assert [len(wire.sent) for wire in network.wires] == [2, 1]
    network.now_s += KEEP_ALIVE_S - 0.1
    store.get_order("d")
    network.now_s += 0.2
    network.wires[0].answers.append(_answer())
    store.get_order("e")
    assert [wire.is_closed for wire in network.wires] == [False, True]
