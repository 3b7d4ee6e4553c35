"""Only a server with a trusted certificate for Wix's name gets the key: real servers over HTTPS."""

from __future__ import annotations

import datetime as dt
import ipaddress
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.support.rig import KEY
from worker.errors import CallFailed
from worker.wix.client import ClientFactory, WixStore
from worker.wix.deadline import DeadlineTransport

HOST = "127.0.0.1"
BODY = (
    b'{"order": {"createdDate": "2024-01-01T00:00:00Z", "status": "APPROVED", "currency": "USD"}}'
)
ANSWER = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(BODY), BODY)


def _certificate(folder: Path, host: str, ends_in_days: int) -> Path:
    """Write a self-signed certificate for *host*, and its key, into one file."""
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now, day = dt.datetime.now(dt.UTC), dt.timedelta(days=1)
    address = x509.IPAddress(ipaddress.ip_address(host))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - 9 * day)
        .not_valid_after(now + ends_in_days * day)
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(private, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    secret = private.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = folder / "certificate.pem"
    path.write_bytes(secret + certificate.public_bytes(pem))
    return path


@contextmanager
def _https(certificate: Path) -> Iterator[tuple[int, list[bytes]]]:
    """Serve one connection; yield its port, and what arrived once the connection was encrypted."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    received: list[bytes] = []
    with socket.create_server((HOST, 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            connection.settimeout(10)
            with connection:
                try:
                    with context.wrap_socket(connection, server_side=True) as encrypted:
                        received.append(encrypted.recv(65_536))
                        encrypted.sendall(ANSWER)
                except OSError:
                    return  # The client refused the certificate.

        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()[1], received
        thread.join(10)


def _store(port: int, trusted: Path | None = None) -> WixStore:
    """Return a client with the worker's own transport, which may trust one more certificate."""

    def transport() -> DeadlineTransport:
        context = httpx.create_ssl_context(trust_env=False)
        if trusted:
            context.load_verify_locations(trusted)
        return DeadlineTransport(5_000, tls=context)

    factory = ClientFactory(
        f"https://{HOST}:{port}",
        connect_timeout_ms=5_000,
        read_timeout_ms=5_000,
        total_timeout_ms=5_000,
        transport=transport if trusted else None,
    )
    return factory.store("site-1", KEY, before_mutation=lambda: None)


@pytest.mark.parametrize(
    ("host", "ends_in_days", "is_trusted", "why"),
    [
        (HOST, 9, False, "self-signed certificate"),
        ("127.0.0.2", 9, True, "IP address mismatch"),
        (HOST, -1, True, "certificate has expired"),
    ],
    ids=["self-signed", "another server's", "expired"],
)
def test_a_server_without_a_valid_certificate_gets_nothing(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    host: str,
    ends_in_days: int,
    is_trusted: bool,
    why: str,
) -> None:
    """Not a byte of the request, and so no key, even if the environment names its certificate."""
    certificate = _certificate(tmp_path, host, ends_in_days)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with _https(certificate) as (port, received):
        store = _store(port, certificate if is_trusted else None)
        with pytest.raises(CallFailed, match=r"(?i)certificate|connect") as refused:
            store.get_order("o")
    assert received == []
    assert why in str(refused.value) or why in _causes(refused.value)


def _causes(error: BaseException) -> str:
    found, cause = [], error.__cause__ or error.__context__
    while cause:
        found.append(str(cause))
        cause = cause.__cause__ or cause.__context__
    return "; ".join(found)


def test_a_server_with_a_trusted_certificate_gets_the_key(tmp_path: Path) -> None:
    """So the test above fails if the server does not work at all."""
    certificate = _certificate(tmp_path, HOST, 9)
    with _https(certificate) as (port, received):
        assert _store(port, certificate).get_order("o").status == "APPROVED"
    assert KEY.encode() in received[0]
