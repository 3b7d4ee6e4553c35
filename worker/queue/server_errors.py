"""Errors of the Redis server, in words that say what to do."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

import redis
from dramatiq.errors import ConnectionClosed
from redis import exceptions

from worker.errors import LivesElsewhere, NoSuchCell

#: Servers differ: HELLO without a password, and any other command.
_ASKS_FOR_PASSWORD = ("HELLO must be called", "Authentication required")

#: What each error code says; redis-py has a class for most of them, and removes the code.
_MEANINGS: Mapping[str, str] = MappingProxyType(
    {
        "MOVED": "Redis at REFUNDS_REDIS_URL is a node of a Redis Cluster, and another node holds"
        " our keys: write its address as redis+cluster://HOST:PORT",
        "TRYAGAIN": "Redis Cluster is moving our keys to another node; the worker continues when"
        " that is done",
        "READONLY": "Redis at REFUNDS_REDIS_URL is a read-only replica: use the address of the"
        " primary; after a failover the address must lead to the new one",
        "CLUSTERDOWN": "Redis at REFUNDS_REDIS_URL is a node of a Redis Cluster that is not"
        " complete: check the cluster",
        "NOREPLICAS": "Redis at REFUNDS_REDIS_URL accepts no writes, because it has fewer replicas"
        " than its min-replicas-to-write",
        "MASTERDOWN": "Redis at REFUNDS_REDIS_URL is a replica that has lost its primary",
        "LOADING": "Redis at REFUNDS_REDIS_URL is starting and still loads its data",
        "NOPERM": "the user in REFUNDS_REDIS_URL lacks a permission; its ACL must allow what"
        " worker/operations/README.md lists for its role",
        "OOM": "Redis at REFUNDS_REDIS_URL has no memory left (maxmemory)",
    }
)
_CODES: Mapping[type[Exception], str] = MappingProxyType(
    {
        exceptions.AskError: "MOVED",  # MovedError is one of these
        exceptions.TryAgainError: "TRYAGAIN",
        exceptions.ReadOnlyError: "READONLY",
        exceptions.MasterDownError: "MASTERDOWN",  # before the class that it inherits from
        exceptions.ClusterDownError: "CLUSTERDOWN",
        exceptions.BusyLoadingError: "LOADING",
        exceptions.NoPermissionError: "NOPERM",
        exceptions.OutOfMemoryError: "OOM",
    }
)
#: redis-py keeps a code that it has no class for; before Redis 7 a script's error has it in the
#: middle.
_IN_TEXT = re.compile(r"(?:^|: -)([A-Z]{3,}) ")


def _cause(error: BaseException) -> object:
    return error.message if isinstance(error, ConnectionClosed) else error


def _code(cause: object) -> str:
    """Return the code of an error that has a meaning above, "" for any other."""
    for kind, code in _CODES.items():
        if isinstance(cause, kind):
            return code
    if "ACL failure in script" in str(cause):
        return "NOPERM"
    inside = _IN_TEXT.search(str(cause)) if isinstance(cause, redis.ResponseError) else None
    return inside[1] if inside and inside[1] in _MEANINGS else ""


def is_permanent(error: BaseException) -> bool:
    """Whether retrying is useless until somebody changes a setting."""
    cause = _cause(error)
    refused = isinstance(cause, redis.AuthenticationError) or _code(cause) in {"NOPERM", "MOVED"}
    return refused or "DB index" in str(cause)


def explain(error: BaseException) -> str:
    """Explain an error in one sentence."""
    cause = _cause(error)
    if isinstance(cause, LivesElsewhere | NoSuchCell):
        return str(cause)
    if code := _code(cause):
        return f"{_MEANINGS[code]} ({cause})"
    if isinstance(cause, redis.AuthenticationError):
        if any(text in str(cause) for text in _ASKS_FOR_PASSWORD):
            return (
                "Redis asks for a password, and REFUNDS_REDIS_URL has none; put"
                " :PASSWORD@ in front of the host, or USER:PASSWORD@"
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
