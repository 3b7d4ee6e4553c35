"""Is Wix reachable? DNS, TCP, TLS, a proxy and the answer are told apart."""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

import httpcore

from worker.wix.names import Resolve, resolve
from worker.wix.tunnel import MAX_ANSWER_BYTES, Proxy, connect_request, status_of

#: How far a call got.
Stage = Literal["DNS", "TCP", "TLS", "proxy", "answer", "ok"]
#: The HTTP status with which a proxy asks for credentials.
_PROXY_ASKS = 407
#: From this status on the server, or a gateway before it, has failed.
_FAILS = 500


@dataclass(frozen=True)
class Reached:
    """What came of it: `stage` is where it failed, "ok" if Wix answered."""

    stage: Stage
    text: str


def reach(
    base_url: str,
    timeout_s: float,
    *,
    proxy: Proxy | None = None,
    resolve: Resolve = resolve,
    context: Callable[[], ssl.SSLContext] = ssl.create_default_context,
) -> Reached:
    """Ask Wix's server for its first page, without any key, through the *proxy* if there is one."""
    url = urlsplit(base_url)
    host, port = url.hostname or "", url.port or (443 if url.scheme == "https" else 80)
    first, first_port = proxy[:2] if proxy else (host, port)
    try:
        addresses = resolve(first, first_port, timeout_s)
    except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
        return Reached("DNS", f"the name {first} cannot be resolved ({error}); check DNS")
    line = _connect(addresses, first_port, timeout_s)
    if isinstance(line, Reached):
        return line
    with line:
        if proxy and (refusal := _tunnel(line, proxy, host, port)):
            return refusal
        if url.scheme != "https":
            return _ask(line, host)
        try:
            with context().wrap_socket(line, server_hostname=host) as encrypted:
                return _ask(encrypted, host)
        except ssl.SSLCertVerificationError as error:
            text = (
                f"the certificate of {host} is not trusted ({error.verify_message}): a proxy may"
                " decrypt the traffic, or this machine's certificates or clock are wrong"
            )
            return Reached("TLS", text)
        except (ssl.SSLError, OSError) as error:
            text = f"no encrypted connection to {host} ({type(error).__name__}): {cause_of(error)}"
            return Reached("TLS", text)


def _connect(addresses: list[str], port: int, timeout_s: float) -> socket.socket | Reached:
    failure: OSError = OSError("no address")
    for address in addresses:
        try:
            return socket.create_connection((address, port), timeout_s)
        except OSError as error:
            failure = error
    tried = ", ".join(addresses[:3])
    text = (
        f"no connection to {tried}, port {port} ({cause_of(failure)}): a firewall may block it, or"
        " the way out is a proxy, which REFUNDS_WIX_PROXY must name"
    )
    return Reached("TCP", text)


def _tunnel(line: socket.socket, proxy: Proxy, host: str, port: int) -> Reached | None:
    """Let the proxy open a tunnel; returns what is wrong, None if nothing is."""
    try:
        line.sendall(connect_request(proxy, host, port))
        answer = b""
        while b"\r\n\r\n" not in answer and len(answer) < MAX_ANSWER_BYTES:
            if not (data := line.recv(4096)):
                break
            answer += data
    except OSError as error:
        return Reached("proxy", f"the proxy {proxy.host} does not answer ({cause_of(error)})")
    status = status_of(answer)
    if status == _PROXY_ASKS:
        text = f"the proxy {proxy.host} asks for credentials, or refuses those of REFUNDS_WIX_PROXY"
        return Reached("proxy", text)
    if status != 200:
        return Reached("proxy", f"the proxy {proxy.host} does not let us to {host} ({status})")
    return None


def _ask(line: socket.socket, host: str) -> Reached:
    connection = http.client.HTTPConnection(host)
    connection.sock = line
    try:
        connection.request("HEAD", "/", headers={"Connection": "close"})
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        return Reached("answer", f"{host} does not answer as a web server ({cause_of(error)})")
    if status == _PROXY_ASKS:
        return Reached("proxy", f"a proxy answers for {host} and asks for credentials")
    if status >= _FAILS:
        return Reached("answer", f"{host}, or a gateway before it, fails ({status})")
    return Reached("ok", f"{host} answers ({status})")


def cause_of(error: BaseException) -> str:
    """Return why a connection failed, in the words of the system if it has some."""
    return str(getattr(error, "strerror", "") or error or type(error).__name__)
