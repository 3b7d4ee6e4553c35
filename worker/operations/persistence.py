"""What the server may forget, and what that means for refunds: see worker/ledger/README.md."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

import redis

from worker.ledger.durability import CONFIRM_MS, REPLICA, is_confirmed
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
_NAMED = (
    "after that, nothing is changed at Wix until the workers have named their calls that may be"
    " forgotten, and upstream must send again what was not accepted"
)
_NO_MINIMUM = (
    "min-replicas-to-write is 0: a primary that has lost its replicas goes on accepting jobs, which"
    " are lost when one of them takes over; set it to 1, and min-replicas-max-lag to 10"
)
#: A replica tells its primary once a second how far it is.
MAX_LAG_S = 10


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


def writes_refused(info: Mapping[str, Any]) -> str:
    """Return why the server accepts no writes now, also no heartbeat of a worker; "" if it does."""
    # INFO has this field only where min-replicas-to-write is at least 1.
    if int(info.get("min_slaves_good_slaves", 1)) > 0:
        return ""
    return (
        "Redis accepts no writes, because none of its replicas is in step (min-replicas-to-write)."
    )


def are_confirming(client: redis.Redis, namespace: str, wait_replicas: int) -> bool:
    """Return whether so many replicas confirm a write as fast as a call to Wix waits for it."""
    try:
        return is_confirmed(client, f"{{{namespace}}}:confirmations", wait_replicas)
    except redis.RedisError:
        # The write is refused (NOREPLICAS, a read-only replica, no right): other checks say so.
        return True


def replicas(
    info: dict[str, Any], wait_replicas: int, *, confirm: bool = True
) -> Iterator[Finding]:
    """Say what a replica that takes over may have missed, and what an old primary may still do.

    *confirm*: whether as many as are waited for confirm a write in time.
    """
    following = [info[name] for name in info if REPLICA.fullmatch(name)]
    connected = int(info.get("connected_slaves", 0))
    yield _who_has_the_intent(connected, wait_replicas, confirm=confirm)
    if not connected:
        return
    if "min_slaves_good_slaves" not in info:
        yield Finding("replicas", "warning", _NO_MINIMUM)
    lag_s = max((int(each.get("lag", 0)) for each in following), default=0)
    behind = sum(each.get("state") != "online" for each in following)
    if lag_s > MAX_LAG_S or behind:
        text = (
            f"{behind} of {connected} are not in step and the largest lag is {lag_s} s: what they"
            " have missed is lost if one of them takes over"
        )
        yield Finding("replicas", "warning", text)


def _who_has_the_intent(connected: int, wanted: int, *, confirm: bool) -> Finding:
    if connected < wanted:
        text = (
            f"REFUNDS_REDIS_WAIT_REPLICAS is {wanted}, but {connected} are connected: nothing is"
            " changed at Wix until there are more"
        )
        return Finding("intents", "warning", text)
    if not confirm:
        text = (
            f"REFUNDS_REDIS_WAIT_REPLICAS is {wanted}, but fewer of the {connected} that are"
            f" connected confirm a write within {CONFIRM_MS // 1000} s: nothing is changed at Wix"
            " until more do; look at their load, and at the network between them and the primary"
        )
        return Finding("intents", "warning", text)
    if not connected:
        text = "none connected; a failover is only possible with replicas"
        return Finding("replicas", "ok", text)
    if not wanted:
        text = (
            f"{connected} connected: one that takes over may have missed the last writes;"
            f" {_NAMED}. An old primary that still answers could refund twice:"
            f" REFUNDS_REDIS_WAIT_REPLICAS={connected} prevents that"
        )
        return Finding("replicas", "warning", text)
    text = f"before a call that changes something at Wix, {wanted} of {connected} have its intent"
    if wanted < connected:
        text += (
            f"; an old primary that keeps {wanted} of them after a failover could still make calls:"
            f" only REFUNDS_REDIS_WAIT_REPLICAS={connected} prevents that"
        )
        return Finding("intents", "warning", text)
    return Finding("intents", "ok", f"{text}: neither a failover nor an old primary refunds twice")
