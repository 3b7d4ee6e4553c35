"""The way to Wix through an HTTP proxy, and certificates of one's own."""

from __future__ import annotations

import base64
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.support.certificates import Authority
from worker.wix.client import Way
from worker.wix.deadline import tls_context
from worker.wix.reach import reach
from worker.wix.tunnel import parse_proxy


class _Proxy:
    """Opens tunnels, or answers with another status; remembers what it was asked."""

    def __init__(self, status: bytes) -> None:
        self.asked: list[bytes] = []
        self._status = status
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._one, args=(client,), daemon=True).start()

    def _one(self, client: socket.socket) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            head += client.recv(4096)
        self.asked.append(head)
        client.sendall(b"HTTP/1.1 " + self._status + b"\r\n\r\n")
        if not self._status.startswith(b"200"):
            client.close()
            return
        host, _, port = head.split()[1].decode().rpartition(":")
        server = socket.create_connection((host, int(port)))
        for one, other in ((client, server), (server, client)):
            threading.Thread(target=_pump, args=(one, other), daemon=True).start()

    def close(self) -> None:
        """Take no more connections."""
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


def _pump(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            target.sendall(data)
    except OSError:
        pass
    finally:
        target.close()


@contextmanager
def _proxy(status: bytes = b"200 OK") -> Iterator[_Proxy]:
    made = _Proxy(status)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def wix(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A server with a certificate that only its own authority signed: its URL, and that file."""
    authority = Authority(tmp_path)
    certificate, key = authority.certificate("wix")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                plain, _ = listener.accept()
            except OSError:
                return
            try:
                with context.wrap_socket(plain, server_side=True) as line:
                    line.recv(65536)
                    line.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            except OSError:
                continue

    threading.Thread(target=serve, daemon=True).start()
    yield f"https://127.0.0.1:{listener.getsockname()[1]}", authority.path
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()


def _get(url: str, proxy: str, ca_file: Path | None) -> str:
    transport = Way(proxy, ca_file).transport(5_000)
    with httpx.Client(transport=transport, trust_env=False) as client:
        return client.get(url, extensions={"total_s": 30.0}).text


def test_a_call_goes_through_the_proxy(wix: tuple[str, Path]) -> None:
    """With its credentials, and encrypted to the end: the proxy sees host and port."""
    url, ca_file = wix
    with _proxy() as proxy:
        assert _get(url, f"http://ann:p%40ss@127.0.0.1:{proxy.port}", ca_file) == "ok"
    [head] = proxy.asked
    assert head.startswith(f"CONNECT {url.removeprefix('https://')} HTTP/1.1\r\n".encode())
    assert base64.b64encode(b"ann:p@ss") in head


def test_a_certificate_that_nobody_knows_is_refused(wix: tuple[str, Path]) -> None:
    """Also behind a proxy."""
    with _proxy() as proxy, pytest.raises(httpx.ConnectError):
        _get(wix[0], f"http://127.0.0.1:{proxy.port}", None)


def test_a_proxy_that_refuses_is_an_error_of_the_connection(wix: tuple[str, Path]) -> None:
    """Nothing of the call was sent, so it can be tried again."""
    refusal = pytest.raises(httpx.ConnectError, match="407")
    with _proxy(b"407 Proxy Authentication Required") as proxy, refusal:
        _get(wix[0], f"http://127.0.0.1:{proxy.port}", wix[1])


@pytest.mark.parametrize(
    ("status", "stage", "said"),
    [
        (b"200 OK", "ok", "answers"),
        (b"407 Who are you", "proxy", "asks for credentials"),
        (b"403 No", "proxy", "does not let us"),
        (b"nonsense", "proxy", "does not let us"),
    ],
)
def test_doctor_tells_what_the_proxy_does(
    wix: tuple[str, Path], status: bytes, stage: str, said: str
) -> None:
    """Name, connection, proxy, encryption and answer are told apart."""
    with _proxy(status) as proxy:
        way = parse_proxy(f"http://127.0.0.1:{proxy.port}")
        found = reach(wix[0], 5, proxy=way, context=lambda: tls_context(wix[1]))
    assert (found.stage, said in found.text) == (stage, True)
