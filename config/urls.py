"""Whether the address of Redis can be one, before a library stumbles over it."""

from __future__ import annotations

from urllib.parse import SplitResult, urlsplit

import redis

_KINDS = (
    "it takes redis://HOST:PORT/DATABASE, rediss:// for TLS, or unix:///PATH?db=DATABASE;"
    " special characters of a password are written as %XX"
)


def check_redis_url(url: str) -> str:
    """Give the address back; nothing of it is repeated, for it may hold a password.

    Raises:
        ValueError: with what it takes.
    """
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError:
        raise ValueError(f"the port must be a number from 1 to 65535; {_KINDS}") from None
    if parts.scheme not in {"redis", "rediss", "unix"} or not url.startswith(f"{parts.scheme}://"):
        raise ValueError(_KINDS)
    if parts.fragment or port == 0:
        raise ValueError(_KINDS)
    _check_path(parts)
    _check_options(url.strip())
    return url.strip()


def _check_options(url: str) -> None:
    """What stands behind the question mark is the library's; it says so only when it connects."""
    try:
        redis.ConnectionPool.from_url(url).make_connection()
    except (ValueError, TypeError, redis.RedisError):
        raise ValueError(f"what stands behind ? is not known or not right; {_KINDS}") from None


def _check_path(parts: SplitResult) -> None:
    if parts.scheme == "unix":
        if not parts.path.strip("/"):
            raise ValueError(f"the path of the socket is missing; {_KINDS}")
        return
    number = parts.path.removeprefix("/").removesuffix("/")
    # The library takes what is no number for database 0, silently: another one than is meant.
    if number and not (number.isascii() and number.isdigit()):
        raise ValueError(f"the database must be a number; {_KINDS}")
