"""The client of Redis, as in upstream's wheel, with scripts that cost less to call.

A script is nearly all that a worker asks of Redis. redis-py's way to call one takes twice the time
of the call itself: it looks for a connection, checks it, makes objects for the retry, the metrics
and the events. Here one of the idle connections sends the call, and whatever goes wrong, redis-py
repeats it in its own way: it may, since every script of ours may run twice (pitfall 8).
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any

import hiredis
import redis
from redis import exceptions
from redis.commands.core import Script

from worker.upstream import connection
from worker.upstream.connection import MAX_CONNECTIONS, SOCKET_TIMEOUT_S, TRIES

#: What redis-py repeats, or what it does better.
_REPEATED = (
    redis.ConnectionError,
    redis.TimeoutError,
    exceptions.ReadOnlyError,
    exceptions.ClusterDownError,
    exceptions.NoScriptError,
)


class Client(redis.Redis):
    """redis-py's client, but for the scripts."""

    idle: deque[Any]
    """Connections of the pool that no thread uses now."""

    @property
    def retries(self) -> int:
        """How many times a call is repeated at most."""
        retry = self.get_retry()
        return retry.get_retries() if retry else 0

    def register_script(self, script: Any) -> Script:
        """Return a script that this client calls."""
        # The connections that are kept for scripts would be missed by other commands.
        if self.connection_pool.max_connections < MAX_CONNECTIONS:
            return super().register_script(script)
        if not hasattr(self, "idle"):
            self.idle = deque()
        return QuickScript(self, script)


class QuickScript(Script):
    """A script that is called on an idle connection."""

    registered_client: Client

    def __call__(
        self,
        keys: Sequence[Any] | None = None,
        args: Iterable[Any] | None = None,
        client: Any = None,
    ) -> Any:
        """Run the script. Raises redis.RedisError."""
        given = tuple(args or ())
        used = self._take()
        try:
            reply = self._reply(used, (len(keys or ()), *(keys or ()), *given))
        except _REPEATED as error:
            # It took as long as this client waits: one that tries once does not wait again.
            if isinstance(error, redis.TimeoutError) and not self.registered_client.retries:
                raise
            return super().__call__(keys, given, client)
        return reply

    def _take(self) -> Any:
        """Return a connection; redis-py tries more than once to open one."""
        client = self.registered_client
        try:
            used = client.idle.pop()
            # A forked process has copies of its parent's connections, and must not use them.
            while used.pid != os.getpid():
                used = client.idle.pop()
        except IndexError:
            return client.connection_pool.get_connection()
        return used

    def _reply(self, used: Any, arguments: tuple[Any, ...]) -> Any:
        is_clean = False
        try:
            # It may lead to a server that is not the primary any more.
            used.connect()
            used.send_packed_command([hiredis.pack_command(("EVALSHA", self.sha, *arguments))])
            reply = used.read_response()
            is_clean = True
        except redis.ResponseError:
            is_clean = True
            raise
        finally:
            if is_clean:
                self.registered_client.idle.append(used)
            else:
                # A reply that was not read would be taken for the reply to the next call.
                used.disconnect()
                self.registered_client.connection_pool.release(used)
        return reply


def redis_client(
    url: str,
    *,
    namespace: str = "refunds",
    tries: int = TRIES,
    timeout_s: float = SOCKET_TIMEOUT_S,
) -> redis.Redis:
    """Return a client of the server that has the keys of *namespace*.

    Raises:
        ValueError: *url* is no address of Redis.
    """
    return connection.redis_client(
        url, namespace=namespace, tries=tries, timeout_s=timeout_s, kind=Client
    )


__all__ = ["TRIES", "redis_client"]
