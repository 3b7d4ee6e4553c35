"""Refunds at the point where a call moves money, and what the money guards must do about them.

The model keeps its own books: what was counted when, by the rules of worker/operations/README.md.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from statemachine.flows import State, Transition
from tests.support.guards import HOUR_MS, MINUTE_MS
from tests.support.rig import Rig
from worker.ledger.audit_log import Operator
from worker.ledger.claims import Claim, StepCommit
from worker.operations.acts import approvals, refunds
from worker.operations.acts.refusals import CannotAct
from worker.queue.delivery import Delivery
from worker.refund.approvals import approval_from
from worker.refund.request import HOLDS, parse_request

STORES = tuple(f"4b296c48-0000-4000-8000-00000000000{n}" for n in (1, 2))
#: scope, window in ms, how much longer it may be, most refunds, most units.
LIMITS = (
    ("store", "hour", HOUR_MS, MINUTE_MS, 3, 60),
    ("all", "hour", HOUR_MS, MINUTE_MS, 5, 100),
    ("all", "day", 24 * HOUR_MS, HOUR_MS, 8, 160),
)
#: The commit that holds a refund needs a hold; its words do not matter here.
HOLD = {
    "hold": '{"reason": "needs_approval", "why": "", "by": ""}',
    "reason": "{}",
    "schema": HOLDS,
    "outcome": {"type": "t", "step": "s", "data": "{}"},
}


def order_id(number: int) -> str:
    """Return the id of an order."""
    return f"67668940-527d-4465-94c6-{number:012d}"


def guard(units: int, *, is_repeat: bool = False) -> dict[str, Any]:
    """Return what a step asks of the guards."""
    windows = [
        {"name": f"{scope}_{name}", "scope": scope, "window": name, "count": count, "units": most}
        for scope, name, _, _, count, most in LIMITS
    ]
    return {
        "units": units,
        "currency": "USD",
        "windows": windows,
        "has_amounts": True,
        "is_repeat": is_repeat,
    }


@dataclass
class Books:
    """What the guards have let through, and what may pass now."""

    rig: Rig
    stores: dict[str, str] = field(default_factory=dict)
    counted: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Refund → when it was counted, and its units."""
    approved: set[str] = field(default_factory=set)
    in_doubt: set[str] = field(default_factory=set)
    """Refunds of which an earlier call may have had an effect."""
    held: set[str] = field(default_factory=set)
    claims: dict[str, tuple[Claim, Delivery]] = field(default_factory=dict)
    asks: dict[str, Any] = field(default_factory=dict)
    open: list[str] = field(default_factory=list)
    """The refunds that have not ended."""
    executions: int = 0

    def unfinished(self, place: int) -> str:
        """Return one of eight refunds that have not ended; new ones take the place of others."""
        while len(self.open) <= place:
            self.open.append(self._accept(len(self.stores)))
        return self.open[place]

    def _accept(self, number: int) -> str:
        refund_id, store_id = f"rf-{number}", STORES[number % 2]
        self.stores[refund_id] = store_id
        job = {"refund_id": refund_id, "store_id": store_id, "order_id": order_id(number)}
        assert self.rig.ledger.accept(parse_request(job), self._delivery("worker"))
        return refund_id

    def _delivery(self, worker: str) -> Delivery:
        self.executions += 1
        return Delivery(worker, "steps", "m", str(self.executions))

    def claim(self, refund_id: str) -> None:
        """Claim it, unless it waits, or a worker has it; a worker that is not alive loses it."""
        if refund_id in self.held or refund_id in self.claims:
            return
        self.rig.redis.zrem(self.rig.key("due"), refund_id)
        delivery = self._delivery(f"worker-{refund_id}")
        claim = self.rig.ledger.claim(refund_id, Transition.ASSESS_ORDER, delivery)
        if claim.status == "claimed":
            self.claims[refund_id] = claim, delivery

    def call(self, refund_id: str, units: int) -> None:
        """Ask for the call, and compare the answer with the books."""
        if refund_id not in self.claims or refund_id in self.asks:
            return
        claim, delivery = self.claims[refund_id]
        assert claim.refund
        is_repeat = refund_id in self.in_doubt
        given = guard(units, is_repeat=is_repeat)
        intent = self.rig.ledger.write_intent(claim, claim.refund, delivery, given)
        now_ms = self._now_ms()
        if intent.status == "needs_approval":
            self.asks[refund_id] = intent.asks
            assert self._passes(refund_id, units, now_ms, is_late=True)
            return
        assert intent.status == "written"
        at_ms, before = self.counted.get(refund_id, (0, 0))
        age_ms = now_ms - at_ms
        if before >= units and age_ms < HOUR_MS:
            return
        goes_on = is_repeat and before >= units
        is_free = goes_on or refund_id in self.approved
        assert is_free or not self._passes(refund_id, units, now_ms)
        if before < units or age_ms >= HOUR_MS + MINUTE_MS or self._was_counted_anew(refund_id):
            self.counted[refund_id] = now_ms, units

    def _was_counted_anew(self, refund_id: str) -> bool:
        """Whether a refund counts anew; in the minute after the hour, either is right."""
        stored = self.rig.redis.hget(self.rig.key("refund", refund_id), "guard")
        return int(stored.split()[0]) > self.counted[refund_id][0]

    def _now_ms(self) -> int:
        seconds, micros = self.rig.redis.time()
        offset = int(self.rig.redis.hget(self.rig.key("clock"), "offset_ms") or 0)
        return int(seconds) * 1000 + int(micros) // 1000 + offset

    def _passes(self, refund_id: str, units: int, now_ms: int, *, is_late: bool = False) -> bool:
        """Whether a limit would be passed; *is_late* says yes where a window's length decides.

        A refund that counts in a window already adds what its amount has grown by.
        """
        own_at_ms, own_units = self.counted.get(refund_id, (0, 0))
        for scope, _, length_ms, more_ms, count, most in LIMITS:
            since_ms = now_ms - length_ms - (more_ms if is_late else 0)
            own_since_ms = now_ms - length_ms - (0 if is_late else more_ms)
            is_new = own_at_ms <= own_since_ms
            others = [
                counted
                for other, (at_ms, counted) in self.counted.items()
                if other != refund_id
                and at_ms > since_ms
                and (scope == "all" or self.stores[other] == self.stores[refund_id])
            ]
            grows = is_new or units > own_units
            if (is_new and len(others) + 1 > count) or (grows and sum(others) + units > most):
                return True
        return False

    def end(self, refund_id: str, how: str) -> None:
        """Commit its step: done, rejected, or tried again with a known or unknown effect."""
        if refund_id not in self.claims:
            return
        claim, delivery = self.claims.pop(refund_id)
        asks = self.asks.pop(refund_id, None)
        again: dict[str, Any] = {"state": State.ACCEPTED, "next": "later", "due_in_ms": 1}
        commit = {
            "done": {"state": State.REFUNDED, "next": "end"},
            "rejected": {"state": State.REJECTED, "next": "end", "intent": "keep"},
            "unclear": again | {"intent": "open"},
            "unsent": again | {"intent": "keep"},
        }[how]
        if asks:
            self.held.add(refund_id)
            told = {**HOLD, "approval": json.dumps(approval_from(asks).stored())}
            commit = {"state": State.ACCEPTED, "next": "lane", "intent": "keep", "asks": told}
        assert self.rig.ledger.commit(refund_id, claim, StepCommit(**commit), delivery)
        if commit["state"] in {State.REFUNDED, State.REJECTED}:
            self.open.remove(refund_id)
        if commit.get("intent") == "open":
            self.in_doubt.add(refund_id)
        if commit["state"] is State.REJECTED and refund_id not in self.in_doubt:
            self.counted.pop(refund_id, None)

    def decide(self, refund_id: str, how: str) -> None:
        """Let a person approve, reject or release it."""
        act: dict[str, Callable[..., object]] = {
            "approve": approvals.approve,
            "reject": approvals.reject,
            "release": refunds.release,
        }
        try:
            act[how](self.rig.acts, refund_id, operator=Operator("bea", "why"))
        except CannotAct:
            return
        self.held.discard(refund_id)
        if how == "approve":
            self.approved.add(refund_id)
        if how == "reject":
            self.open.remove(refund_id)
            if refund_id not in self.in_doubt:
                self.counted.pop(refund_id, None)
