"""The groups that read the outcomes: how far behind each is."""

from __future__ import annotations

from typing import Any

import redis

from worker.upstream.outcomes import stream_key

#: What older servers do not tell is counted, up to this number.
MOST_COUNTED = 10_000


def groups_of_outcomes(client: redis.Redis, namespace: str) -> list[dict[str, Any]]:
    """Return name, consumers, events that were not read (`lag`) and not acknowledged (`pending`).

    A lag of 10,000 may also stand for more.
    """
    stream = stream_key(namespace)
    if not client.exists(stream):
        return []
    found: Any = client.xinfo_groups(stream)
    return [
        {
            "group": group["name"],
            "consumers": group["consumers"],
            "lag": _lag(client, stream, group),
            "pending": group["pending"],
        }
        for group in found
    ]


def _lag(client: redis.Redis, stream: str, group: dict[str, Any]) -> int:
    told = group.get("lag")
    if told is not None:
        return int(told)
    behind = f"({group['last-delivered-id']}"
    entries: Any = client.xrange(stream, behind, "+", count=MOST_COUNTED)
    return len(entries)
