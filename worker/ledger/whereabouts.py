"""Where a refund is at this moment, and what its store does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import redis


@dataclass(frozen=True, kw_only=True)
class Whereabouts:
    """One refund's place in the ledger, read at one moment."""

    now_ms: int
    """The server's time, unix ms."""
    shift_ms: int
    """By how much the server's time is ahead of the ledger's clock."""
    place: str
    """Where it waits: "on_hold", "lane", "busy" or "due"; "" if it waits nowhere."""
    before: int
    """How many refunds of the store come first, in its lane."""
    due_at_ms: int
    """When it is due, by the server's time; 0 if it is not."""
    held_by: str
    """The worker that runs its step, "" if none does."""
    watch_at_ms: int
    """When the finished refund is looked at again, by the server's time; 0 for never."""
    paced_until_ms: int
    """Until when the store starts nothing, because it is over its rate; 0 if it is not."""
    in_outage: bool
    """Whether Wix is down for most stores, so that few start anything."""


def find(client: redis.Redis, ns: str, refund_id: str, store_id: str) -> Whereabouts:
    """Return where a refund is."""
    with client.pipeline(transaction=True) as pipe:
        pipe.time()
        pipe.hget(f"{ns}:clock", "offset_ms")
        pipe.zrank(f"{ns}:lane:{store_id}", refund_id)
        pipe.zscore(f"{ns}:busy:{store_id}", refund_id)
        pipe.zscore(f"{ns}:due", refund_id)
        pipe.zscore(f"{ns}:on_hold", refund_id)
        pipe.zscore(f"{ns}:watch", refund_id)
        pipe.zscore(f"{ns}:paced", store_id)
        pipe.hget(f"{ns}:refund:{refund_id}", "held_by")
        pipe.exists(f"{ns}:outage")
        clock, offset, rank, busy, due, hold, watch, paced, held_by, outage = pipe.execute()
    shift_ms = -int(offset or 0)
    places = {"on_hold": hold, "lane": rank is not None, "busy": busy, "due": due}
    return Whereabouts(
        now_ms=clock[0] * 1000 + clock[1] // 1000,
        shift_ms=shift_ms,
        place=next((name for name, is_there in places.items() if is_there), ""),
        before=int(rank or 0),
        due_at_ms=_moment(due, shift_ms),
        held_by=str(held_by or "").partition("|")[0],
        watch_at_ms=_moment(watch, shift_ms),
        paced_until_ms=_moment(paced, shift_ms),
        in_outage=bool(outage),
    )


def _moment(score: Any, shift_ms: int) -> int:
    return round(score) + shift_ms if score else 0
