"""The metrics of the ledger, from what one script says in time that does not grow with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import redis

from statemachine.flows import ACTIVE, State
from worker.ledger.overview import Overview
from worker.operations.tallies import groups_of
from worker.queue.names import STEPS
from worker.refund.reasons import REASONS
from worker.refund.stakes import amount_of_units

#: Between the parts of a field's name in the hash of totals (`lua/counters.lua`).
_SEPARATOR = "\x1f"
#: How many stores have a metric of their own, if they have.
MOST_STORES = 1_000


class Sample(NamedTuple):
    """One value of a metric."""

    name: str
    value: float
    labels: tuple[str, ...] = ()


class LedgerMetrics:
    """Reads the metrics of one ledger. Raises redis.RedisError if the server does not answer."""

    def __init__(
        self, client: redis.Redis, namespace: str, *, dead_after_ms: int, per_store: bool
    ) -> None:
        self._redis = client
        self._overview = Overview(client, namespace=namespace)
        self._dead_after_ms = dead_after_ms
        self._stores = MOST_STORES if per_store else 0

    def samples(self) -> list[Sample]:
        """Return the present values."""
        found = self._overview.read(
            minutes=1, dead_after_ms=self._dead_after_ms, lanes=self._stores
        )
        info: Any = self._redis.info("memory")
        return [
            Sample("refunds_ledger_up", 1),
            *_refunds(found),
            *_totals(found["totals"] or {}),
            *_dead(found),
            *_stores(found),
            *_program(found),
            Sample("refunds_redis_memory_bytes", int(info.get("used_memory", 0))),
            Sample("refunds_redis_memory_limit_bytes", int(info.get("maxmemory", 0))),
        ]


def _age_s(now_ms: float, since_ms: Any) -> float:
    """Return how long ago a moment is, in seconds; 0 if there is none."""
    return max(0.0, now_ms - float(since_ms)) / 1000 if since_ms and float(since_ms) > 0 else 0.0


def _refunds(found: Mapping[str, Any]) -> Iterator[Sample]:
    states, due, now_ms = found["states"], found["due"], found["now_ms"]
    for state in State:
        yield Sample("refunds_by_state", states.get(state, 0), (state,))
    unfinished = sum(states.get(state, 0) for state in ACTIVE)
    held = sum(worker["holds"][STEPS] for worker in found["workers"] or [])
    in_flight = held + found["queues"][STEPS]["length"]
    lane = max(0, unfinished - due["count"] - in_flight - found["on_hold"])
    places = {"lane": lane, "later": due["count"], "in_flight": in_flight}
    for place, count in {**places, "on_hold": found["on_hold"]}.items():
        yield Sample("refunds_waiting", count, (place,))
    yield Sample("refunds_oldest_unfinished_seconds", _age_s(found["wall_ms"], found["oldest_ms"]))
    yield Sample("refunds_overdue", due["overdue"])
    yield Sample("refunds_failing", found["failing"]["count"])
    yield Sample("refunds_approvals_waiting", found["approvals"]["count"])
    for name, queue in found["queues"].items():
        yield Sample("refunds_queue_length", queue["length"], (name,))
        # A job has its sender's time, a step the ledger's.
        by_ms = now_ms if name == STEPS else found["wall_ms"]
        yield Sample("refunds_queue_oldest_seconds", _age_s(by_ms, queue["since_ms"]), (name,))


def _totals(totals: Mapping[str, str]) -> Iterator[Sample]:
    yield Sample("refunds_accepted_total", int(totals.get("accepted", 0)))
    for name, number in sorted(totals.items()):
        kind, *labels = name.split(_SEPARATOR)
        if kind == "ended":
            yield Sample("refunds_ended_total", int(number), tuple(labels))
        elif kind == "units":
            yield Sample("refunds_amount_total", float(amount_of_units(int(number))), tuple(labels))


def _dead(found: Mapping[str, Any]) -> Iterator[Sample]:
    dead, counted = found["dead"], dict.fromkeys(REASONS, 0)
    for group in groups_of(dead["groups"] or {}):
        counted[group.name if group.name in REASONS else "other"] = group.count
    for reason, count in counted.items():
        yield Sample("refunds_dead_letters", count, (reason,))
    yield Sample("refunds_dead_letter_oldest_seconds", _age_s(found["now_ms"], dead["since_ms"]))
    yield Sample("refunds_dead_messages", dead["messages"])


def _stores(found: Mapping[str, Any]) -> Iterator[Sample]:
    counted = {
        "suspended": found["suspended"]["count"],
        "paused": found["paused_count"],
        "paced": found["paced"]["count"],
        "failing": found["failing_stores"]["count"],
        "waiting": found["ring"],
    }
    for condition, count in counted.items():
        yield Sample("refunds_stores", count, (condition,))
    wait_ms = float(found["paced_until_ms"] or 0) - found["now_ms"]
    yield Sample("refunds_rate_wait_seconds", max(0.0, wait_ms) / 1000)
    for store, length in sorted((found["lanes"] or {}).items()):
        yield Sample("refunds_store_lane", length, (store,))


def _program(found: Mapping[str, Any]) -> Iterator[Sample]:
    yield Sample("refunds_workers", found["alive"], ("alive",))
    yield Sample("refunds_workers", found["listed"] - found["alive"], ("silent",))
    ticked, reconciled = found["ticked"][:2]
    yield Sample("refunds_scheduler_lag_seconds", _age_s(found["now_ms"], ticked))
    yield Sample("refunds_reconcile_lag_seconds", _age_s(found["now_ms"], reconciled))
    yield Sample("refunds_wix_outage", int(bool(found["outage"][0])))
