"""Failovers of the suite's server, as its scripts see them."""

from __future__ import annotations

from collections.abc import Callable

from tests.support.processes import wait_until
from tests.support.rig import AFTER, Rig

#: Longer than living workers get that the data does not know.
GRACE_MS = 2_100
CHANGING = {"cancel_order", "submit_refund"}
#: The age of a server that was there before it took over.
OLD_S = 3


def tick(rig: Rig) -> None:
    """Let the ledger's clock tick, on a server that has run for some time."""
    wait_until(lambda: rig.redis.info("server")["uptime_in_seconds"] >= OLD_S)
    rig.redis.delete(rig.key("scheduler"))
    rig.ledger.wake_due("leader", lead_ms=1)


def replica(rig: Rig, name: str) -> Callable[[], None]:
    """Return what lets a replica take over that has what the server has now, and nothing later."""
    dumped = {
        key: (rig.redis.dump(key), max(0, rig.redis.pttl(key)))
        for key in rig.redis.keys(rig.key("*"))
    }

    def take_over() -> None:
        rig.redis.delete(*rig.redis.keys(rig.key("*")))
        for key, (text, ttl_ms) in dumped.items():
            # One may have expired when it was read.
            if text is not None:
                rig.redis.restore(key, ttl_ms, text)
        rig.redis.hset(rig.key("clock"), "run_id", name)

    return take_over


def let_pass(rig: Rig, by_ms: int) -> None:
    """Move the ledger's clock, and make what waits due then."""
    for field in ("last_ms", "offset_ms"):
        rig.redis.hincrby(rig.key("clock"), field, by_ms)
    rig.redis.delete(rig.key("scheduler"))
    rig.ledger.wake_due("leader", lead_ms=1)


def fail_over(rig: Rig) -> None:
    """Let a replica take over that has everything; a tick notices it."""
    replica(rig, "another")()
    let_pass(rig, 1)


def ready(rig: Rig, created: str = AFTER) -> str:
    """Return a refund whose next step changes something at Wix."""
    refund_id = rig.request(rig.order(created))
    rig._one("refunds")
    rig._one("steps")
    return refund_id


def changes(rig: Rig) -> int:
    """Return how many calls that change something Wix has got."""
    return sum(call["endpoint"] in CHANGING for call in rig.simulator.calls)


def wait_ms(rig: Rig, refund_id: str) -> int:
    """Return how long the refund still waits, by the ledger's clock."""
    return rig.load(refund_id).due_at_ms - int(rig.redis.hget(rig.key("clock"), "last_ms"))
