"""One refund in words: what it did, what it waits for, how much money it is about."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from statemachine.flows import State, Transition, next_transition
from worker.flows.step import UNSURE
from worker.ledger.stores import StoreRecord
from worker.ledger.whereabouts import Whereabouts
from worker.refund.record import Refund
from worker.refund.stakes import stake_of

#: Fields of a history line that have a place of their own, or that nobody reads.
_ELSEWHERE = {"at_ms", "event", "transition", "wix_request_id", "attempt", "wix_calls"}
#: Fields that a sentence below already says.
_SAID = {"from_state", "to_state", "why", "in_ms", "error", "reason", "sentence", "by", "operator"}
#: What is shown of one value at most.
_LONGEST = 300


def timeline(history: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the history, oldest first, each with what happened and how long after the line before.

    `waits_ms` is how long it was meant to wait then.
    """
    told, before_ms = [], 0
    for line in history:
        at_ms = int(line["at_ms"])
        told.append(
            {
                "at_ms": at_ms,
                "after_ms": max(0, at_ms - before_ms) if before_ms else None,
                "event": line["event"],
                "transition": line.get("transition"),
                "attempt": line.get("attempt"),
                "what": _what(line),
                "waits_ms": line.get("in_ms"),
                "wix_request_id": line.get("wix_request_id"),
            }
        )
        before_ms = at_ms
    return told


def _what(line: Mapping[str, Any]) -> str:
    """Say what a line of the history means."""
    parts = []
    if line.get("to_state"):
        parts.append(f"{line.get('from_state')} -> {line['to_state']}")
    parts += [str(line[name]) for name in ("why", "reason", "error") if line.get(name)]
    if line.get("sentence") and not line.get("error"):
        parts.append(str(line["sentence"]))
    if who := line.get("by") or line.get("operator"):
        parts.append(f"by {who}")
    parts += [
        f"{name.replace('_', ' ')}: {flat(value)}"
        for name, value in line.items()
        if name not in _ELSEWHERE | _SAID and value not in (None, "", {}, [])
    ]
    return "; ".join(parts)


def flat(value: Any) -> str:
    """Return a value without JSON: "a, b" for a list, "x a, y b" for an object."""
    if isinstance(value, Mapping):
        text = ", ".join(f"{name} {flat(inner)}" for name, inner in value.items())
    elif isinstance(value, list | tuple):
        text = ", ".join(flat(inner) for inner in value)
    elif isinstance(value, bool):
        text = "yes" if value else "no"
    else:
        text = str(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def money(refund: Refund) -> dict[str, Any]:
    """Return the amounts, the most important first; None for what is not known."""
    facts, request, stake = refund.facts, refund.request, stake_of(refund)

    def of(amount: str) -> str | None:
        return f"{amount} {facts.currency or request.currency or ''}".strip() if amount else None

    asked = of(request.amount or "") or (
        "a part of the order" if request.has_items else "all of it"
    )
    return {
        "amount": str(stake) or None,
        "asked_for": asked,
        "refunded": of(facts.refund_amount),
        "to_recover": of(facts.overpaid.amount) if facts.overpaid else None,
        "moved_by_wix": of(facts.moved_by_wix),
        "to_pay_back": of(facts.to_pay_back),
        # Read before our refund, and not again: afterwards it would say that all is still left.
        "left_to_refund": None if facts.refund_amount else of(facts.left_to_refund),
        "wix_refund_id": facts.wix_refund_id or None,
        "payments": [
            {"payment_id": p.payment_id, "amount": of(p.amount or ""), "status": p.status}
            for p in facts.payments
        ],
    }


def waits_for(
    refund: Refund, where: Whereabouts, store: StoreRecord, last_why: str = ""
) -> dict[str, Any]:
    """Say why a refund waits, and until when; `for` is "" if it waits for nothing.

    `is_fixed` says that nobody can shorten the wait: an earlier call may still take effect, or its
    job says when it may start.
    """
    return {
        "for": _reason_to_wait(refund, where, store, last_why),
        "place": where.place or None,
        "before": where.before if where.place == "lane" else None,
        "is_fixed": where.place == "due" and (UNSURE in last_why or not refund.attempts),
        "next_at_ms": where.due_at_ms or where.watch_at_ms or None,
        "next_in_ms": max(0, where.due_at_ms - where.now_ms) if where.due_at_ms else None,
    }


def _reason_to_wait(refund: Refund, where: Whereabouts, store: StoreRecord, last_why: str) -> str:
    if refund.state is State.DEAD:
        return "a person"
    if refund.needs_approval:
        return f"{_approval(refund)}: {refund.hold['why']}"
    if where.place == "on_hold" or refund.hold:
        return f"a person: {_who(refund.hold)} stopped it"
    if where.place and (closed := _closed(store)):
        return f"its store, which {closed}"
    if where.place == "due":
        return _due(refund, last_why)
    runs = f"worker {where.held_by}, which runs its step" if where.held_by else "a free thread"
    if where.place == "lane" and (held_back := _held_back(where)):
        return held_back
    turn = f"its turn: it is number {where.before + 1} in the lane of its store"
    return {"lane": turn, "busy": runs}.get(where.place, "")


def _approval(refund: Refund) -> str:
    """Say whose approval is missing."""
    people, given = refund.approval["people"], [one["by"] for one in refund.approvals]
    if people == 1:
        return "an approval"
    return f"the approvals of {people} people" + (f" (so far {', '.join(given)})" if given else "")


def _held_back(where: Whereabouts) -> str:
    """Say what keeps the whole lane waiting, "" if nothing does."""
    if where.in_outage:
        return "Wix, which is down for most stores"
    if where.paced_until_ms > where.now_ms:
        return "its store, which is over its rate of calls, or pauses"
    return ""


def _due(refund: Refund, last_why: str) -> str:
    if refund.failing_since_ms:
        return f"the next try: {refund.reason.get('error') or refund.reason.get('reason') or ''}"
    if next_transition(refund.state) in {Transition.CONFIRM_REFUND, Transition.CONFIRM_VOID}:
        return f"the payment provider{f': {last_why}' if last_why else ''}"
    return last_why or "the time at which it may start"


def _closed(store: StoreRecord) -> str:
    """Say why no refund of a store may start, "" if they may."""
    if store.pause:
        return f"{_who(store.pause)} paused"
    if store.suspension:
        why = store.public()["suspended_because"] or {}
        return f"is suspended ({why.get('reason') or 'unknown reason'})"
    return ""


def _who(told: Mapping[str, Any]) -> str:
    return f"{told.get('by') or 'somebody'} ({told.get('why') or 'no reason given'})"


def last_wait(history: Iterable[Mapping[str, Any]]) -> str:
    """Return why the last step waited, "" if it did not."""
    lines = list(history)
    return str(lines[-1].get("why") or "") if lines else ""
