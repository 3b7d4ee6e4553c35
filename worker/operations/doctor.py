"""`refunds doctor`: is this installation safe to run? The worker asks the same when it starts."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any, Literal

import redis

from worker.operations.finding import Finding
from worker.operations.persistence import are_confirming, persistence, replicas
from worker.operations.trial import trial
from worker.queue.server_errors import explain

#: With a larger difference, the dates of `Retry-After` and the times in logs would be wrong.
MAX_CLOCK_DRIFT_S = 5.0
#: The first version with BLMOVE and LPOS.
MIN_VERSION = (6, 2)
#: A step makes two round trips; above this, the queue is slow.
SLOW_ROUND_TRIP_MS = 20.0
_PINGS = 5


def examine(
    client: redis.Redis,
    wait_replicas: int = 0,
    *,
    namespace: str,
    now: Callable[[], float] = time.time,
) -> list[Finding]:
    """Check the server; a server that cannot be reached yields that one finding.

    *now* returns Unix time in seconds.
    """
    try:
        return findings_of(client, wait_replicas, namespace=namespace, now=now)
    except redis.RedisError as error:
        return [Finding("reachable", "refused", explain(error))]


def findings_of(
    client: redis.Redis,
    wait_replicas: int = 0,
    *,
    namespace: str,
    now: Callable[[], float] = time.time,
) -> list[Finding]:
    """Check the server like `examine`.

    Raises:
        redis.RedisError: the server cannot be reached.
    """
    return list(_findings(client, wait_replicas, namespace, now))


def _findings(
    client: redis.Redis, wait_replicas: int, namespace: str, now: Callable[[], float]
) -> Iterator[Finding]:
    info: Any = client.info()
    yield Finding("reachable", "ok", "the server answers")
    yield _version(info)
    yield _memory(info)
    yield persistence(client, info)
    confirm = are_confirming(client, namespace, wait_replicas)
    yield from replicas(info, wait_replicas, confirm=confirm)
    yield _clock(client, now)
    lua = _lua(client)
    yield lua
    if lua.level == "ok":
        yield trial(client, namespace)
    yield _latency(client)


def _version(info: dict[str, Any]) -> Finding:
    name = "Valkey" if "valkey_version" in info else "Redis"
    text = str(info.get("valkey_version") or info["redis_version"])
    known = tuple(int(part) for part in str(info["redis_version"]).split(".")[:2])
    if known < MIN_VERSION:
        return Finding("version", "refused", f"{name} {text}: 6.2 or newer is required")
    return Finding("version", "ok", f"{name} {text}")


def _memory(info: dict[str, Any]) -> Finding:
    policy = info.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        text = f"maxmemory-policy is {policy}: the server may delete refunds; set it to noeviction"
        return Finding("memory", "refused", text)
    return Finding("memory", "ok", "maxmemory-policy is noeviction")


def _clock(client: redis.Redis, now: Callable[[], float]) -> Finding:
    before = now()
    seconds, microseconds = client.time()
    middle = (before + now()) / 2
    drift_s = middle - (seconds + microseconds / 1_000_000)
    if abs(drift_s) > MAX_CLOCK_DRIFT_S:
        text = f"this machine's clock is {drift_s:+.1f} s off the server's; run NTP on both"
        return Finding("clock", "refused", text)
    text = f"this machine's clock differs from the server's by {abs(drift_s):.3f} s"
    return Finding("clock", "ok", text)


def _lua(client: redis.Redis) -> Finding:
    try:
        client.eval("return cjson.encode({redis.call('TIME')[1]})", 0)
    except redis.ResponseError as error:
        return Finding("scripts", "refused", f"the server does not run Lua scripts: {error}")
    return Finding("scripts", "ok", "the server runs Lua scripts")


def _latency(client: redis.Redis) -> Finding:
    spent_ms = []
    for _ in range(_PINGS):
        started = time.perf_counter()
        client.ping()
        spent_ms.append((time.perf_counter() - started) * 1000)
    best = min(spent_ms)
    level: Literal["ok", "warning"] = "ok" if best <= SLOW_ROUND_TRIP_MS else "warning"
    return Finding("latency", level, f"a round trip takes {best:.1f} ms")
