"""The way to Wix through an HTTP proxy: a tunnel that the proxy opens with CONNECT."""

from __future__ import annotations

import base64
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

import httpcore

from worker.wix.connection import Deadline

#: Maximum size of the proxy's answer.
MAX_ANSWER_BYTES = 16 * 1024


class Proxy(NamedTuple):
    """Where the proxy is, and what it asks for."""

    host: str
    port: int
    authorization: str
    """The value of the header; "" if the proxy asks for none."""


def parse_proxy(url: str) -> Proxy:
    """Return the proxy at an address that the settings have checked."""
    parts = urlsplit(url)
    login = ""
    if parts.username is not None:
        text = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        login = "Basic " + base64.b64encode(text.encode()).decode()
    return Proxy(parts.hostname or "", parts.port or 3128, login)


def connect_request(proxy: Proxy, host: str, port: int) -> bytes:
    """Return what asks the proxy for a tunnel."""
    place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    lines = [f"CONNECT {place} HTTP/1.1", f"Host: {place}"]
    lines += [f"Proxy-Authorization: {proxy.authorization}"] if proxy.authorization else []
    return "\r\n".join([*lines, "", ""]).encode()


def status_of(answer: bytes) -> int:
    """Return the HTTP status of the proxy's answer; 0 if it is no HTTP."""
    words = answer.split(b"\r\n", 1)[0].split()
    is_http = len(words) > 1 and words[0].startswith(b"HTTP/1.") and words[1].isdigit()
    return int(words[1]) if is_http else 0


def open_tunnel(
    stream: httpcore.NetworkStream,
    proxy: Proxy,
    place: tuple[str, int],
    timeout_s: float | None,
    deadline: Deadline,
) -> None:
    """Ask the proxy for a tunnel to host and port.

    Raises:
        httpcore.ConnectError: the proxy refuses. Nothing of a call was sent.
    """
    try:
        limit_s = deadline.limit(timeout_s, httpcore.ConnectTimeout)
        stream.write(connect_request(proxy, *place), limit_s)
        answer = b""
        while b"\r\n\r\n" not in answer and len(answer) < MAX_ANSWER_BYTES:
            data = stream.read(4096, deadline.limit(timeout_s, httpcore.ConnectTimeout))
            if not data:
                break
            answer += data
    except (httpcore.ReadTimeout, httpcore.WriteTimeout) as error:
        raise httpcore.ConnectTimeout(str(error)) from None
    except (httpcore.ReadError, httpcore.WriteError) as error:
        raise httpcore.ConnectError(str(error)) from None
    # Bytes behind the answer would be taken for the server's.
    if status_of(answer) != 200 or not answer.endswith(b"\r\n\r\n"):
        raise httpcore.ConnectError(f"the proxy answers {status_of(answer)}")
