"""The client of Redis."""

from __future__ import annotations

import redis
from redis.backoff import ExponentialBackoff
from redis.retry import Retry

#: Blocking fetches stay below it (worker.queue.broker).
SOCKET_TIMEOUT_S = 5


def redis_client(url: str, *, tries: int = 4, timeout_s: float = SOCKET_TIMEOUT_S) -> redis.Redis:
    """Return a client with explicit timeouts and retries (pitfalls 8, 9)."""
    return redis.Redis.from_url(
        url,
        decode_responses=True,
        # A message that is not UTF-8 must not block its queue: it becomes undecodable text.
        encoding_errors="backslashreplace",
        socket_timeout=timeout_s,
        socket_connect_timeout=timeout_s,
        retry=Retry(ExponentialBackoff(cap=1, base=0.05), tries - 1),
        retry_on_error=[redis.ConnectionError, redis.TimeoutError],
    )
