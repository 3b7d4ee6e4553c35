"""Validate the addresses of Redis and of Wix before anything is sent there."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

import redis

from worker.upstream.addresses import FORMATS, parse_address
from worker.upstream.connection import LEAST_TIMEOUT_S, connection_options

#: Options of the address that say how long to wait for the server.
_TIMEOUTS = ("socket_timeout", "socket_connect_timeout")


def check_redis_url(url: str) -> str:
    """Return *url* without surrounding spaces.

    Raises:
        ValueError: it is not an address of Redis. The text does not repeat it: it may hold a
            password.
    """
    address = parse_address(url)
    try:
        options = connection_options(address, "refunds")
        # redis-py checks the options only when it connects.
        redis.ConnectionPool(**options).make_connection()
    except (ValueError, TypeError, redis.RedisError):
        raise ValueError(f"an option after the ? is unknown or invalid; {FORMATS}") from None
    for name in _TIMEOUTS:
        # A comparison with NaN is never true.
        if name in options and not options[name] >= LEAST_TIMEOUT_S:
            raise ValueError(f"{name} must be at least {LEAST_TIMEOUT_S} second")
    for host in [host for host, _ in address.nodes] or [options.get("host", "")]:
        try:
            # Nor does it check the host, which the lookup of its address encodes like this.
            host.encode("idna")
        except UnicodeError:
            raise ValueError(f"the host is not a valid name; {FORMATS}") from None
    return url.strip()


def max_connections(url: str) -> int | None:
    """Return the limit of connections that the address of Redis sets, if it sets one."""
    found = connection_options(parse_address(url), "refunds").get("max_connections")
    return None if found is None else int(found)


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
