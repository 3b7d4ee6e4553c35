"""Our durable record of one refund."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from statemachine.flows import State
from worker.refund.facts import Facts, facts_from
from worker.refund.request import RefundRequest

#: Characters of `customerReason`. W63; whether they are UTF-16 units is unknown.
LONGEST_REASON = 200


@dataclass(frozen=True, kw_only=True)
class Refund:
    """Our record of one request, as read from the ledger at one moment."""

    request: RefundRequest
    state: State
    flow: str
    version: int
    """Counts the writes; every write compares it first."""
    attempt: int
    """1-based count of the attempts at the present transition; 0 before the first."""
    attempts: int
    """All attempts at all transitions so far."""
    wix_calls: int
    failing_since_ms: int
    """When the present transition first failed, unix ms; 0 when it did not."""
    intent_at_ms: int
    """When a step announced its call to Wix without telling the outcome, unix ms; 0 when none."""
    accepted_at_ms: int
    updated_at_ms: int
    due_at_ms: int
    """When a retry or a wait is due, unix ms; 0 when none is."""
    replayed_at_ms: int
    """When a person last let it go on, unix ms; 0 when nobody did."""
    died_in: str
    """The state in which it became a dead letter."""
    facts: Facts
    """What we learned about the order and did to it."""
    reason: Mapping[str, Any]
    """Why it was rejected, died or last failed: code, sentence, what to do, Wix's code and id."""

    @property
    def refund_id(self) -> str:
        """The caller's idempotency key."""
        return self.request.refund_id

    @property
    def fingerprint(self) -> str:
        """Our mark inside Wix's `customerReason`: the same for every try of this refund."""
        seed = f"{self.request.store_id}/{self.request.order_id}/{self.refund_id}"
        return hashlib.sha256(seed.encode()).hexdigest()[:20]

    @property
    def customer_reason(self) -> str:
        """What Wix stores: our fingerprint and the reason, at most 200 characters of UTF-16.

        The fingerprint comes first: should Wix cut the text, the mark is still there.
        """
        whole = f"(ref {self.fingerprint}) {self.request.reason}".strip()
        return whole.encode("utf-16-le")[: 2 * LONGEST_REASON].decode("utf-16-le", "ignore")

    @property
    def effect_ruled_out(self) -> bool:
        """Whether a person, asked about a call with an unknown effect, replayed: it had none.

        This holds until the next such call.
        """
        return self.facts.asked_a_person and self.replayed_at_ms > self.intent_at_ms

    def public(self) -> dict[str, Any]:
        """The record as operators see it, JSON-able."""
        return {
            "refund_id": self.refund_id,
            "store_id": self.request.store_id,
            "order_id": self.request.order_id,
            "flow": self.flow or None,
            "state": self.state.value,
            "attempt": self.attempt,
            "attempts": self.attempts,
            "wix_calls": self.wix_calls,
            "version": self.version,
            "accepted_at_ms": self.accepted_at_ms,
            "updated_at_ms": self.updated_at_ms,
            "due_at_ms": self.due_at_ms or None,
            "died_in": self.died_in or None,
            "effect": self.facts.effect or None,
            "facts": self.facts.known(),
            "reason": dict(self.reason) or None,
            "request": self.request.model_dump(mode="json"),
        }


def refund_from(fields: Mapping[str, str]) -> Refund:
    """Build a record from the fields of its Redis hash (see worker/ledger/README.md)."""

    def number(name: str) -> int:
        return int(Decimal(fields.get(name) or 0))

    return Refund(
        request=RefundRequest.model_validate_json(fields["request"]),
        state=State(fields["state"]),
        flow=fields.get("flow", ""),
        version=number("version"),
        attempt=number("attempt"),
        attempts=number("attempts"),
        wix_calls=number("wix_calls"),
        failing_since_ms=number("failing_since_ms"),
        intent_at_ms=number("intent_at_ms"),
        accepted_at_ms=number("accepted_at_ms"),
        updated_at_ms=number("updated_at_ms"),
        due_at_ms=number("due_at_ms"),
        replayed_at_ms=number("replayed_at_ms"),
        died_in=fields.get("died_in", ""),
        facts=facts_from(fields.get("facts", "")),
        reason=json.loads(fields.get("reason") or "{}"),
    )
