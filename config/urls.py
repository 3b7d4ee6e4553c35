"""Validate the addresses of Redis and of Wix before anything is sent there."""

from __future__ import annotations

import ipaddress
from urllib.parse import SplitResult, urlsplit

import redis

_FORMATS = (
    "expected redis://HOST:PORT/DATABASE, rediss:// for TLS, or unix:///PATH?db=DATABASE;"
    " write special characters in a password as %XX"
)


def check_redis_url(url: str) -> str:
    """Return *url* without surrounding spaces.

    Raises:
        ValueError: it is not a Redis URL. The message does not repeat it: it may hold a password.
    """
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError:
        raise ValueError(f"the port must be a number from 1 to 65535; {_FORMATS}") from None
    if parts.scheme not in {"redis", "rediss", "unix"} or not url.startswith(f"{parts.scheme}://"):
        raise ValueError(_FORMATS)
    if parts.fragment or port == 0:
        raise ValueError(_FORMATS)
    _check_path(parts)
    _check_options(url.strip())
    return url.strip()


def _check_options(url: str) -> None:
    """Let the client library check the options; by itself it does so only when it connects."""
    try:
        redis.ConnectionPool.from_url(url).make_connection()
    except (ValueError, TypeError, redis.RedisError):
        raise ValueError(f"an option after the ? is unknown or invalid; {_FORMATS}") from None


def _check_path(parts: SplitResult) -> None:
    if parts.scheme == "unix":
        if not parts.path.strip("/"):
            raise ValueError(f"the path of the socket is missing; {_FORMATS}")
        return
    number = parts.path.removeprefix("/").removesuffix("/")
    # The library silently uses database 0 for anything that is not a number.
    if number and not (number.isascii() and number.isdigit()):
        raise ValueError(f"the database must be a number; {_FORMATS}")


def is_unencrypted(url: str) -> bool:
    """Whether what is sent to *url* can be read on the way: plain HTTP that leaves this machine."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme == "https" or host == "localhost":
        return False
    try:
        return not ipaddress.ip_address(host).is_loopback
    except ValueError:
        return True
