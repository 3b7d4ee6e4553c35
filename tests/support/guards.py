"""Workers with money guards, and what the guards have counted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.support.rig import AFTER, STORE_ID, Rig, settings_for
from worker.simulator import Simulator

MINUTE_MS, HOUR_MS = 60_000, 3_600_000


@contextmanager
def guarded(redis_url: str, **limits: str) -> Iterator[Rig]:
    """A worker with limits, such as refund="50 USD"."""
    settings = settings_for(redis_url, **{f"guard_{name}": text for name, text in limits.items()})
    rig = Rig(settings, Simulator())
    yield rig
    rig.close()


def pass_time(rig: Rig, by_ms: int) -> None:
    """Let the ledger's clock go on."""
    clock = rig.key("clock")
    offset = int(rig.redis.hget(clock, "offset_ms") or 0) + by_ms
    seconds, micros = rig.redis.time()
    now = seconds * 1000 + micros // 1000 + offset
    rig.redis.hset(clock, mapping={"offset_ms": offset, "last_ms": now})
    rig.appear()


def counted(rig: Rig, scope: str = STORE_ID, currency: str = "USD") -> tuple[int, int]:
    """Return the number of refunds that are counted in the hash, by minute, and their amount."""
    found = rig.redis.hgetall(rig.key("guard", scope))
    by_minute = {name: int(number) for name, number in found.items() if name.startswith("m")}
    count = sum(number for name, number in by_minute.items() if name[1:].isdigit())
    return count, sum(number for name, number in by_minute.items() if name.endswith(currency))


def held_refund(rig: Rig, amount: str = "60.00", created: str = AFTER, **job: Any) -> str:
    """A refund that waits for an approval; of the whole order, 101.40 USD, if *amount* is ""."""
    given = {"amount": amount, "currency": "USD"} if amount else {}
    refund_id = rig.request(rig.order(created), **given, **job)
    rig.run_until_idle()
    assert rig.load(refund_id).needs_approval
    return refund_id


def run_refund(rig: Rig, amount: str = "", created: str = AFTER, **order: Any) -> str:
    """Run a refund of an amount, or of a whole order, until nothing moves; return its id."""
    job = {"amount": amount, "currency": order.get("currency", "USD")} if amount else {}
    refund_id = rig.request(rig.order(created, **order), **job)
    rig.run_until_idle()
    return refund_id


def state_of(rig: Rig, refund_id: str) -> str:
    """Return the state of a refund, and the limits that it would pass."""
    refund = rig.load(refund_id)
    assert rig.problems() == []
    return " ".join([refund.state, *(refund.approval["limits"] if refund.needs_approval else ())])
