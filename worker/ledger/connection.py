"""The client of Redis, and its errors in words that say what to do."""

from __future__ import annotations

import redis
from dramatiq.errors import ConnectionClosed
from redis.backoff import ExponentialBackoff
from redis.retry import Retry

#: Blocking fetches stay below it (worker.queue.broker).
SOCKET_TIMEOUT_S = 5

#: Servers differ: HELLO without a password, and any other command.
_ASKS_FOR_PASSWORD = ("HELLO must be called", "Authentication required")


def _cause(error: Exception) -> object:
    return error.message if isinstance(error, ConnectionClosed) else error


def is_permanent(error: Exception) -> bool:
    """Whether retrying is useless until somebody changes a setting."""
    cause = _cause(error)
    refused = isinstance(cause, redis.AuthenticationError | redis.exceptions.NoPermissionError)
    return refused or "DB index" in str(cause)


def explain(error: Exception) -> str:
    """Explain an error in one sentence."""
    cause = _cause(error)
    if isinstance(cause, redis.AuthenticationError):
        if any(text in str(cause) for text in _ASKS_FOR_PASSWORD):
            return (
                "Redis asks for a password, and REFUNDS_REDIS_URL has none; write it as"
                " redis://:PASSWORD@HOST:PORT/0"
            )
        return f"Redis refuses the user or the password in REFUNDS_REDIS_URL ({cause})"
    if "DB index" in str(cause):
        return (
            "Redis has no database of the number at the end of REFUNDS_REDIS_URL;"
            " the number 0 is always there"
        )
    if isinstance(cause, redis.ResponseError):
        return f"Redis at REFUNDS_REDIS_URL answers, but refuses the command ({cause})"
    if isinstance(cause, redis.InvalidResponse):
        return f"what answers at REFUNDS_REDIS_URL is not Redis ({cause})"
    return f"Redis at REFUNDS_REDIS_URL does not answer ({cause}); is it running?"


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
