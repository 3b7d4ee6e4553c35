"""What the server may forget, and what that means for refunds. The table is in the README."""

from __future__ import annotations

from typing import Any, Literal

import redis

from worker.operations.finding import Finding

#: `appendfsync` to level and what a crash of the server's machine may take; "" is unknown.
_FSYNC: dict[str, tuple[Literal["ok", "warning"], str]] = {
    "always": ("ok", "appendfsync is always: nothing that was acknowledged is lost in a crash"),
    "everysec": ("ok", "appendfsync is everysec: a crash may lose the last second"),
    "no": ("warning", "appendfsync is no: a crash may lose the last half minute; use everysec"),
    "": ("warning", "the server does not show appendfsync: a crash may lose its last writes"),
}
_HELD_BACK = (
    "after one, nothing is changed at Wix for REFUNDS_SETTLE_DELAY_MS, and upstream must send"
    " again what was not accepted"
)
_NO_AOF = (
    "the append-only file is off: if the server crashes, refunds since its last snapshot are"
    " lost, and what Wix did for them is no longer known here; set appendonly to yes"
)


def persistence(client: redis.Redis, info: dict[str, Any]) -> Finding:
    """Say what a crash of the server's machine may lose."""
    if not int(info.get("aof_enabled", 0)):
        return Finding("persistence", "warning", _NO_AOF)
    level, text = _FSYNC[_appendfsync(client)]
    return Finding("persistence", level, f"{text}; {_HELD_BACK}" if "may lose" in text else text)


def _appendfsync(client: redis.Redis) -> str:
    try:
        answer: Any = client.config_get("appendfsync")
    except redis.ResponseError:
        # Managed servers do not allow CONFIG.
        return ""
    policy = str(answer.get("appendfsync", ""))
    return policy if policy in _FSYNC else ""


def replicas(info: dict[str, Any], wait_replicas: int) -> Finding:
    """Say what a replica that takes over may have missed."""
    connected, wanted = int(info.get("connected_slaves", 0)), wait_replicas
    if connected < wanted:
        text = (
            f"REFUNDS_REDIS_WAIT_REPLICAS is {wanted}, but {connected} are connected: nothing is"
            " changed at Wix until there are more"
        )
        return Finding("replicas", "warning", text)
    if wanted:
        text = (
            f"before a call that changes something at Wix, {wanted} of {connected} have its intent"
        )
        return Finding("replicas", "ok", text)
    if connected:
        text = (
            f"{connected} connected: one that takes over may have missed the last writes;"
            f" {_HELD_BACK}. REFUNDS_REDIS_WAIT_REPLICAS=1 also protects against an old primary"
            " that still answers"
        )
        return Finding("replicas", "warning", text)
    return Finding("replicas", "ok", "none connected; a failover is only possible with replicas")
