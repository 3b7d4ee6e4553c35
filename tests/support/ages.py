"""Refunds that ended long ago."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from statemachine.flows import TERMINAL
from tests.support.rig import AFTER, Rig
from worker.operations.archive.entry import day_of
from worker.operations.archive.keeper import Keeper
from worker.simulator.world.orders import Order

DAY_MS = 86_400_000


def finished(
    rig: Rig,
    *,
    days_ago: int = 100,
    refund_id: str = "",
    created: str = AFTER,
    order: Order | None = None,
) -> str:
    """Run a refund to its end and let that be days ago; its watch has ended. Returns its id."""
    refund_id = rig.request(order or rig.order(created), refund_id)
    rig.run_until_idle()
    assert rig.load(refund_id).state in TERMINAL
    rig.redis.zrem(rig.key("watch"), refund_id)
    age(rig, refund_id, days_ago=days_ago)
    return refund_id


def age(rig: Rig, refund_id: str, *, days_ago: int) -> None:
    """Let a refund have been accepted, and changed last, days earlier."""
    record, by_ms = rig.key("refund", refund_id), days_ago * DAY_MS
    for name in ("accepted_at_ms", "updated_at_ms", "committed_at_ms"):
        rig.redis.hincrby(record, name, -by_ms)
    lists = (rig.key("accepted"), rig.key("state", rig.redis.hget(record, "state")))
    for name in lists:
        rig.redis.zincrby(name, -by_ms, refund_id)


def day_ago(rig: Rig, days: int) -> date:
    """Return the day that was so many days ago."""
    return day_of(rig.redis.time()[0] * 1000 - days * DAY_MS)


def keeper(rig: Rig, archive: Path | None, *, keep_days: int = 90) -> Keeper:
    """Return what archives and forgets, with no pauses between its turns."""
    given = rig.settings.model_copy(update={"archive": archive, "keep_finished_days": keep_days})
    moments = iter(range(0, 10**9, 10**4))
    return Keeper(rig.ledger.keeping, given, lambda: next(moments))


def keep(rig: Rig, archive: Path | None, *, keep_days: int = 90, turns: int = 20) -> Keeper:
    """Archive and forget all that is due."""
    one = keeper(rig, archive, keep_days=keep_days)
    for _ in range(turns):
        one.turn(lambda: False)
    return one
