"""Looks at finished refunds, without waiting for them."""

from __future__ import annotations

from tests.support.rig import STORE_ID, Rig


def look_again(rig: Rig) -> None:
    """Make the next look at each finished refund due, and make it."""
    for name in ("watch", "look_stores", f"looks:{STORE_ID}"):
        for member in rig.redis.zrange(rig.key(name), 0, -1):
            rig.redis.zadd(rig.key(name), {member: 1})
    rig.ledger.wake_due("rig", lead_ms=1)
    rig.watch.turn(lambda: False)
