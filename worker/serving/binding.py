"""Where a server may listen: on loopback, or with TLS, or behind a proxy that adds it."""

from __future__ import annotations

import ipaddress
import ssl
from dataclasses import dataclass
from pathlib import Path


class Unsafe(ValueError):
    """The server must not listen there; the text says what to do."""


@dataclass(frozen=True, kw_only=True)
class Binding:
    """Where a server listens."""

    host: str = "127.0.0.1"
    port: int = 0
    certificate: Path | None = None
    """PEM file with the certificate and its chain."""
    key: Path | None = None
    """PEM file with its private key."""
    behind_proxy: bool = False
    """Whether a proxy on the way ends TLS."""

    @property
    def has_tls(self) -> bool:
        """Whether the server itself speaks TLS."""
        return self.certificate is not None

    def url(self, port: int) -> str:
        """Return where a client finds it, once it listens on *port*."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http{'s' if self.has_tls else ''}://{host}:{port}"

    def check(self) -> None:
        """Refuse an address where tokens and refunds could be read on the way.

        Raises:
            Unsafe: it is beyond loopback, without TLS and without a proxy; or the files of the
                certificate cannot be used.
        """
        if (self.certificate is None) != (self.key is None):
            raise Unsafe("give both --tls-cert and --tls-key, or neither")
        if self.certificate and self.key:
            _check_certificate(self.certificate, self.key)
        elif not is_loopback(self.host) and not self.behind_proxy:
            raise Unsafe(
                f"{self.host} is not a loopback address, and tokens would be sent unencrypted:"
                " give --tls-cert and --tls-key, or --behind-proxy if a proxy in front of it ends"
                " TLS"
            )


def is_loopback(host: str) -> bool:
    """Whether only this machine can connect; a name other than localhost may lead anywhere."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _check_certificate(certificate: Path, key: Path) -> None:
    try:
        # An empty password: an encrypted key must not ask for one on the terminal.
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(
            certificate, key, password=""
        )
    except (OSError, ValueError) as error:
        raise Unsafe(
            f"the certificate or its key cannot be used ({type(error).__name__})"
        ) from None
