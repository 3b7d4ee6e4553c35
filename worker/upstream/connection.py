"""The client of Redis: timeouts, retries, and connections that follow the primary.

After a failover an old primary goes on answering as a replica. A connection to it is dropped, and
the next one leads to the new primary: by DNS, by a proxy, or because Sentinel or a node of a Redis
Cluster was asked.
"""

from __future__ import annotations

import re
import socket
from typing import Any

import redis
from redis import exceptions
from redis.backoff import ExponentialBackoff
from redis.connection import Connection, SSLConnection, UnixDomainSocketConnection, parse_url
from redis.retry import Retry

from .addresses import Address, parse_address
from .locators import ClusterLocator, Locator, SentinelLocator

SOCKET_TIMEOUT_S = 5
#: The least that an address may set instead. Blocking commands wait half as long at most.
LEAST_TIMEOUT_S = 1
#: How many times a command is tried, unless a person waits for the answer.
TRIES = 4

#: No limit: redis-py's own default is less than what many threads need.
MAX_CONNECTIONS = 2**31
#: An idle connection is checked with PING before it is used again.
HEALTH_CHECK_S = 15
#: The kernel finds a dead idle connection after 10 + 3 x 3 s; not every system has these options.
_KEEPALIVE = {
    getattr(socket, name): value
    for name, value in {"TCP_KEEPIDLE": 10, "TCP_KEEPINTVL": 3, "TCP_KEEPCNT": 3}.items()
    if hasattr(socket, name)
}

#: What a server answers that is not, or not any more, a primary with our keys.
_ELSEWHERE = (exceptions.ReadOnlyError, exceptions.ClusterDownError)  # and MasterDownError
#: The same where redis-py has no class: before Redis 7 a script's error has its code in the middle.
_CODES = re.compile(r"(?:^|: -)(READONLY|NOREPLICAS|UNBLOCKED|MASTERDOWN|CLUSTERDOWN) ")


class _Follows:
    """Opens a connection to the primary, and drops it when the server is not the primary."""

    host: str
    port: int

    def __init__(self, *, locator: Locator | None = None, **options: Any) -> None:
        self._locator = locator
        super().__init__(**options)

    def connect(self) -> None:
        """Connect, also if there is a connection to a server that has been replaced."""
        if self._locator and self._sock is not None:  # type: ignore[attr-defined]  # redis-py's
            self._locator.keep_up()
            if self._locator.current != (self.host, self.port):
                self.disconnect()  # type: ignore[attr-defined]  # redis-py's connection
        if self._sock is None:  # type: ignore[attr-defined]  # redis-py's connection
            super().connect()  # type: ignore[misc]  # redis-py's connection

    def _connect(self) -> Any:
        if self._locator:
            self.host, self.port = self._locator.find()
        return super()._connect()  # type: ignore[misc]  # redis-py's connection

    def read_response(self, *args: Any, **options: Any) -> Any:
        """Read a reply; one that only another server can give better ends the connection."""
        try:
            return super().read_response(*args, **options)  # type: ignore[misc]  # redis-py's
        except redis.ResponseError as error:
            better = self._instead_of(error)
            if better is None:
                raise
            self.disconnect()  # type: ignore[attr-defined]  # redis-py's connection
            raise better from None

    def _instead_of(self, error: redis.ResponseError) -> Exception | None:
        """Return what to raise if the connection must be dropped, None if it is right."""
        if isinstance(error, exceptions.AskError) and self._locator:
            if not isinstance(error, exceptions.MovedError):
                # Some of our keys are there already. A script that followed would miss the others.
                return exceptions.TryAgainError(f"our keys are being moved ({error})")
            self._locator.moved(str(error))
            return redis.ConnectionError(f"our keys have moved ({error})")
        if isinstance(error, _ELSEWHERE):
            return error
        code = _CODES.search(str(error))
        if not code:
            return None
        if code[1] == "READONLY":
            return exceptions.ReadOnlyError(str(error))
        return redis.ConnectionError(str(error)) if code[1] == "UNBLOCKED" else error


class ServerConnection(_Follows, Connection):
    """Over TCP."""


class TlsConnection(_Follows, SSLConnection):
    """Over TLS."""


class SocketConnection(_Follows, UnixDomainSocketConnection):
    """Over a Unix socket."""


def connection_options(address: Address, namespace: str) -> dict[str, Any]:
    """Return the arguments of redis-py's connection pool.

    Raises:
        ValueError, TypeError: an option after the `?` is invalid.
    """
    options: dict[str, Any] = parse_url(address.url)  # type: ignore[no-untyped-call]  # redis-py's
    kind = options.pop("connection_class", Connection)
    tls = issubclass(kind, SSLConnection)
    known = {Connection: ServerConnection, SSLConnection: TlsConnection}
    options["connection_class"] = known.get(kind, SocketConnection)
    if kind is not UnixDomainSocketConnection:
        options = {"socket_keepalive": True, "socket_keepalive_options": _KEEPALIVE, **options}
    given = {name: value for name, value in options.items() if name not in {"host", "port"}}
    if address.kind == "sentinel":
        options["locator"] = SentinelLocator(
            address.nodes, address.service, address.sentinel_login, tls=tls, **given
        )
    elif address.kind == "cluster":
        options["locator"] = ClusterLocator(address.nodes, f"{{{namespace}}}", tls=tls, **given)
    return options


def redis_client(
    url: str,
    *,
    namespace: str = "refunds",
    tries: int = TRIES,
    timeout_s: float = SOCKET_TIMEOUT_S,
    kind: type[redis.Redis] = redis.Redis,
) -> redis.Redis:
    """Return a client, of this *kind*, of the server that has the keys of *namespace*.

    An option of *url* goes before our own.

    Raises:
        ValueError: *url* is no address of Redis.
    """
    ours = {
        "decode_responses": True,
        # A message that is not UTF-8 must not block its queue: it becomes undecodable text.
        "encoding_errors": "backslashreplace",
        "socket_timeout": timeout_s,
        "socket_connect_timeout": timeout_s,
        "health_check_interval": HEALTH_CHECK_S,
        "max_connections": MAX_CONNECTIONS,
        "retry": Retry(ExponentialBackoff(cap=1, base=0.05), tries - 1),
        "retry_on_error": [redis.ConnectionError, redis.TimeoutError, *_ELSEWHERE],
    }
    options = connection_options(parse_address(url), namespace)
    return kind.from_pool(redis.ConnectionPool(**{**ours, **options}))
