"""How the webhooks stand, for `refunds status`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import redis

from worker.ledger.webhooks import FAILING_AFTER

#: A webhook that no worker has had in its settings for so long is not looked at.
UNUSED_MS = 7 * 86_400_000


def webhooks_of(client: redis.Redis, namespace: str, now_ms: int) -> list[dict[str, Any]]:
    """Return each webhook with its state; *now_ms* is the ledger's time."""
    ns = f"{{{namespace}}}"
    names: Any = client.zrangebyscore(f"{ns}:webhooks", now_ms - UNUSED_MS, "+inf")
    with client.pipeline(transaction=False) as pipe:
        for name in names:
            pipe.hgetall(f"{ns}:webhook:{name}")
            pipe.hlen(f"{ns}:webhook:{name}:waiting")
            pipe.hlen(f"{ns}:webhook:{name}:dead")
        flat = pipe.execute()
    rows = zip(names, flat[::3], flat[1::3], flat[2::3], strict=True)
    return [
        {"name": name, "state": _state(fields), "waiting": waiting, "dead": dead}
        for name, fields, waiting, dead in sorted(rows)
    ]


def _state(fields: Mapping[str, str]) -> str:
    if "paused_why" in fields:
        return "paused"
    return "failing" if int(fields.get("failures", 0)) >= FAILING_AFTER else "active"


def webhook_needs(webhooks: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """Yield what needs a person, and the command for it."""
    for one in webhooks:
        if one["state"] != "active":
            yield f"The webhook {one['name']} is {one['state']}.", "refunds webhooks list"
        if one["dead"]:
            text = f"The webhook {one['name']} has {one['dead']} dead deliveries."
            yield text, f"refunds webhooks list {one['name']}"
