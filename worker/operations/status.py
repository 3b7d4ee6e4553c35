"""`refunds status`: how things stand, and what needs a person. Functions return data."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import redis

from statemachine.flows import ACTIVE, State, Transition, next_transition
from worker.ledger.overview import Overview
from worker.ledger.stores import NOT_CONNECTED
from worker.operations.approvals import approvals_of
from worker.operations.outcome_groups import groups_of_outcomes
from worker.operations.persistence import persistence, writes_refused
from worker.operations.settling import settling_of
from worker.operations.tallies import amounts_of, groups_of, wix_of
from worker.operations.trimming import reader_name
from worker.operations.unconfirmed import unconfirmed_needs, unconfirmed_of
from worker.operations.webhooks import webhook_needs, webhooks_of
from worker.queue.names import INTAKE, STEPS

#: States in which the payment provider has the next word.
AT_PROVIDER = tuple(
    state
    for state in State
    if next_transition(state) in {Transition.CONFIRM_REFUND, Transition.CONFIRM_VOID}
)
#: A job that waits longer, although workers are alive, is not accepted fast enough.
SLOW_INTAKE_MS = 60_000
#: The part of `maxmemory` above which somebody should act.
MOST_FILL = 0.8


class Need(NamedTuple):
    """Something that needs a person."""

    text: str
    command: str
    """What to type next."""


def status(
    client: redis.Redis,
    namespace: str,
    *,
    dead_after_ms: int,
    settle_delay_ms: int,
    minutes: int = 10,
) -> dict[str, Any]:
    """Return how things stand; `ok` says whether nothing needs a person.

    Times are unix ms by the server's clock.
    """
    found = Overview(client, namespace=namespace).read(minutes=minutes)
    info: Any = client.info()
    # The ledger's clock never steps; people see the server's.
    shift_ms = round(found["wall_ms"] - found["now_ms"])
    told = {
        "at_ms": round(found["wall_ms"]),
        "workers": [_worker(w, found["now_ms"], dead_after_ms) for w in found["workers"] or []],
        "outage": _outage(found["outage"], shift_ms),
        "scheduler": _scheduler(found),
        **settling_of(found, settle_delay_ms),
        "intake": _queue(found["queues"][INTAKE]),
        "steps": _queue(found["queues"][STEPS]),
        "refunds": _refunds(found, shift_ms),
        "stores": _stores(found, shift_ms),
        "approvals": approvals_of(found["approvals"], shift_ms),
        "dead": _dead(found["dead"], shift_ms),
        "today": _today(found["today"]),
        "keeping": _keeping(found["keeping"] or {}),
        "outcomes": _outcomes(found["outcomes"], found["keeping"] or {}),
        "wix": wix_of(found["minutes"]),
        "unconfirmed": unconfirmed_of(found["minutes"]),
        "consumers": groups_of_outcomes(client, namespace),
        "webhooks": webhooks_of(client, namespace, round(found["now_ms"])),
        "redis": _redis(client, info),
    }
    needs = list(needs_of(told))
    return {"ok": not needs, "needs": [need._asdict() for need in needs], **told}


def needs_of(told: Mapping[str, Any]) -> Iterable[Need]:
    """Yield what needs a person, the most urgent first."""
    intake, refunds, dead = told["intake"], told["refunds"], told["dead"]
    alive = [worker for worker in told["workers"] if worker["state"] == "alive"]
    waiting = refunds["unfinished"] + (intake["jobs"] or 0)
    yield from (Need(why, "refunds doctor") for why in [told["redis"]["writes_refused"]] if why)
    if not alive:
        what = f"; refunds that wait for one: {waiting}" if waiting else ""
        yield Need(f"No worker is alive{what}.", "python -m worker")
    elif not told["scheduler"]["leader"]:
        yield Need("No worker leads: nothing that is due is woken.", "refunds doctor")
    elif refunds["overdue"]:
        yield Need(f"Refunds that are due but not woken: {refunds['overdue']}.", "refunds doctor")
    waited_ms = told["at_ms"] - (intake["since_ms"] or told["at_ms"])
    if alive and waited_ms > SLOW_INTAKE_MS:
        text = f"Jobs that wait: {intake['jobs']}, the oldest for {waited_ms // 1000} s."
        yield Need(text, "refunds doctor")
    yield from (Need(*need) for need in unconfirmed_needs(told["unconfirmed"]))
    yield from _decisions(told["approvals"]["count"], dead)
    for store in told["stores"]["suspended"]:
        act = "connect --site" if store["reason"] == NOT_CONNECTED else "check"
        yield Need(
            f"Store {store['store_id']} is suspended: {store['reason'] or 'unknown reason'}.",
            f"refunds stores {act} {store['store_id']}",
        )
    named = len(told["stores"]["suspended"])
    if (more := told["stores"]["suspended_count"] - named) > 0:
        yield Need(f"Other stores that are suspended: {more}.", "refunds stores list")
    yield from _needs_room(told)


def _needs_room(told: Mapping[str, Any]) -> Iterable[Need]:
    for reader in told["outcomes"]["unread"]:
        text = f"Old outcomes are kept: {reader_name(reader)} has not processed them."
        yield Need(text, "refunds doctor")
    yield from (Need(*need) for need in webhook_needs(told["webhooks"]))
    if problem := told["keeping"]["problem"]:
        yield Need(f"No refund is archived: {problem}", "refunds doctor")
    if (told["redis"]["fill"] or 0) > MOST_FILL:
        text = f"Redis has used {told['redis']['fill']:.0%} of its maxmemory."
        yield Need(text, "refunds doctor")


def _decisions(approvals: int, dead: Mapping[str, Any]) -> Iterable[Need]:
    """Yield what only a person can decide."""
    if approvals:
        text = f"Refunds that wait for an approval: {approvals}."
        yield Need(text, "refunds list --reason-code needs_approval")
    if dead["refunds"]:
        yield Need(
            f"Refunds that are dead letters: {dead['refunds']}.", "refunds dead list --by reason"
        )
    if dead["messages"]:
        text = f"Messages that did not become refunds: {dead['messages']}."
        yield Need(text, "refunds dead list --kind message")


def _worker(worker: Mapping[str, Any], now_ms: float, dead_after_ms: int) -> dict[str, Any]:
    silent_ms = round(now_ms - worker["beat_ms"])
    holds = worker["holds"]
    return {
        "worker_id": worker["id"],
        "state": "alive" if silent_ms < dead_after_ms else "silent",
        "silent_ms": max(0, silent_ms),
        "version": worker["version"] or None,
        "threads": int(worker["threads"] or 0) or None,
        "busy": int(worker["busy"]) if worker["busy"] else None,
        "holds": sum(holds.values()),
        "host": worker["host"] or None,
        "pid": int(worker["pid"] or 0) or None,
        "started_at_ms": int(worker["started_at_ms"] or 0) or None,
    }


def _scheduler(found: Mapping[str, Any]) -> dict[str, Any]:
    ticked, reconciled = (
        max(0, round(found["now_ms"] - float(at_ms))) if at_ms else None
        for at_ms in found["ticked"][:2]
    )
    return {"leader": found["leader"] or None, "ticked_ms": ticked, "reconciled_ms": reconciled}


def _outage(outage: list[Any], shift_ms: int) -> dict[str, Any] | None:
    """Return since when Wix is down for most stores, and for what share refunds start."""
    since_ms, share = outage
    if not since_ms:
        return None
    return {"since_ms": _shown(since_ms, shift_ms), "starting": int(share or 0) / 256}


def _queue(queue: Mapping[str, Any]) -> dict[str, Any]:
    return {"jobs": queue["length"], "since_ms": round(queue["since_ms"]) or None}


def _refunds(found: Mapping[str, Any], shift_ms: int) -> dict[str, Any]:
    states, due = found["states"], found["due"]
    unfinished = sum(states[s] for s in states if s in set(State) - _ENDED)
    held = sum(w["holds"][STEPS] for w in found["workers"] or [])
    in_flight = held + found["queues"][STEPS]["length"]
    next_in_ms = max(0, round(due["next_ms"] - found["now_ms"])) if due["count"] else None
    return {
        "states": {state: count for state, count in states.items() if count},
        "unfinished": unfinished,
        "oldest_at_ms": round(found["oldest_ms"]) or None,
        "in_flight": in_flight,
        "waiting_for_turn": max(0, unfinished - due["count"] - in_flight - found["on_hold"]),
        "on_hold": found["on_hold"],
        "later": due["count"],
        "next_in_ms": next_in_ms,
        "overdue": due["overdue"],
        "retrying": found["failing"]["count"],
        "failing_since_ms": _shown(found["failing"]["since_ms"], shift_ms),
        "at_provider": sum(states[state] for state in AT_PROVIDER),
        "watched": found["watched"],
    }


#: States in which nothing is due.
_ENDED = set(State) - ACTIVE


def _stores(found: Mapping[str, Any], shift_ms: int) -> dict[str, Any]:
    def suspended(store: Mapping[str, str]) -> dict[str, Any]:
        why = _json(store["reason"])
        return {
            "store_id": store["id"],
            "since_ms": _shown(store["since_ms"], shift_ms),
            "reason": why.get("reason"),
            "wix_code": why.get("wix_code"),
        }

    def failing(store: Mapping[str, Any]) -> dict[str, Any]:
        why = _json(store["last_error"])
        return {
            "store_id": store["id"],
            "refunds": round(store["refunds"]),
            "since_ms": _shown(store["failing_since_ms"], shift_ms),
            "last_error": why.get("error") or why.get("detail") or why.get("reason"),
            "last_error_at_ms": _shown(store["last_error_at_ms"], shift_ms),
        }

    return {
        "suspended_count": found["suspended"]["count"],
        "suspended": [suspended(store) for store in found["suspended"]["stores"] or []],
        "paused": [
            {"store_id": store_id, **_json(text)} for store_id, text in _paused(found["paused"])
        ],
        "paced_count": found["paced"]["count"],
        "paced": list(found["paced"]["stores"] or []),
        "failing_count": found["failing_stores"]["count"],
        "failing": [failing(store) for store in found["failing_stores"]["stores"] or []],
    }


def _paused(paused: Mapping[str, str] | None) -> list[tuple[str, str]]:
    return sorted((paused or {}).items())


def _dead(dead: Mapping[str, Any], shift_ms: int) -> dict[str, Any]:
    groups = groups_of(dead["groups"] or {})
    return {
        "refunds": dead["refunds"],
        "since_ms": _shown(dead["since_ms"], shift_ms),
        "messages": dead["messages"],
        "by_reason": [group.public("reason") for group in groups],
    }


def _today(day: Mapping[str, str]) -> dict[str, Any]:
    """Return what happened since midnight UTC."""
    counted = {state.value: int(day.get(state, 0)) for state in (State.ACCEPTED, *sorted(_ENDED))}
    return {**counted, "refunded_amounts": amounts_of(day, "units:")}


def _keeping(kept: Mapping[str, str]) -> dict[str, Any]:
    """Return what became of refunds that finished long ago."""
    return {
        "forgotten": int(kept.get("forgotten", 0)),
        "archive": kept.get("archive"),
        "checked_at_ms": int(kept.get("at_ms", 0)) or None,
        "problem": kept.get("problem") or None,
    }


def _outcomes(outcomes: Mapping[str, Any], kept: Mapping[str, str]) -> dict[str, Any]:
    """Return how many outcomes there are, since when, and which groups are behind, since when."""
    first = str(outcomes["first"]).partition("-")[0]
    return {
        "count": outcomes["count"],
        "oldest_at_ms": int(first) if first else None,
        "unread": _json(kept.get("unread", "")),
    }


def _redis(client: redis.Redis, info: Mapping[str, Any]) -> dict[str, Any]:
    used, most = int(info.get("used_memory", 0)), int(info.get("maxmemory", 0))
    return {
        "used_bytes": used,
        "max_bytes": most or None,
        "fill": used / most if most else None,
        "persistence": persistence(client, dict(info)).text,
        "writes_refused": writes_refused(info),
    }


def _shown(at_ms: Any, shift_ms: int) -> int | None:
    """Return a time of the ledger's clock by the server's; None if there is none."""
    return round(float(at_ms)) + shift_ms if at_ms else None


def _json(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
