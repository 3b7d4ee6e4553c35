"""Our durable record of one refund."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from decimal import Decimal
from functools import lru_cache
from types import MappingProxyType
from typing import Any, NamedTuple

from statemachine.flows import State
from worker.refund.facts import Facts, facts_from
from worker.refund.request import RefundRequest, stored_request

#: Maximum length of `customerReason`, W63. Whether Wix counts UTF-16 units is unknown; we do.
LONGEST_REASON = 200
_NOTHING: Mapping[str, Any] = MappingProxyType({})


@lru_cache(maxsize=256)
def fingerprint_of(store_id: str, order_id: str, refund_id: str) -> str:
    """Return the text that marks a refund in Wix's `customerReason`."""
    seed = f"{store_id}/{order_id}/{refund_id}"
    return hashlib.sha256(seed.encode()).hexdigest()[:20]


class Refund(NamedTuple):
    """Our record of one refund, as read from the ledger at one moment."""

    request: RefundRequest
    state: State
    flow: str
    version: int
    """Incremented by every write; a write fails if the version has changed."""
    attempt: int
    """1-based number of the attempt at the current transition; 0 before the first."""
    attempts: int
    """Number of attempts at all transitions so far."""
    wix_calls: int
    failing_since_ms: int
    """When the current transition first failed, unix ms; 0 if it has not failed."""
    intent_at_ms: int
    """When a step announced a call to Wix whose effect is not recorded, unix ms; 0 if none."""
    accepted_at_ms: int
    updated_at_ms: int
    due_at_ms: int
    """When a retry or a wait is due, unix ms; 0 if none is."""
    replayed_at_ms: int
    """When a person last replayed it, unix ms; 0 if nobody has."""
    died_in: str
    """The state in which it became a dead letter."""
    facts: Facts
    """What we know about the order and did to it."""
    reason: Mapping[str, Any]
    """Why it was rejected, became a dead letter or last failed; see `worker.refund.reasons`."""
    hold: Mapping[str, Any] = _NOTHING
    """Who stopped it where it is, and why; empty if nobody has."""
    approval: Mapping[str, Any] = _NOTHING
    """What people must approve, or have approved; see `worker.refund.approvals`."""
    approvals: tuple[Mapping[str, Any], ...] = ()
    """Who has approved it, and why."""
    resolution: Mapping[str, Any] = _NOTHING
    """Who ended it, why, and what was paid elsewhere; empty if no person has."""
    last_try_ms: int = 0
    """Equal to `failing_since_ms` if the next failure is the last one, however few there were."""

    @property
    def refund_id(self) -> str:
        """The caller's idempotency key."""
        return self.request.refund_id

    @property
    def fingerprint(self) -> str:
        """Our fingerprint in Wix's `customerReason`, the same for every attempt. W64."""
        return fingerprint_of(self.request.store_id, self.request.order_id, self.refund_id)

    @property
    def needs_approval(self) -> bool:
        """Whether it waits for people to approve it."""
        return self.hold.get("reason") == "needs_approval"

    @property
    def customer_reason(self) -> str:
        """The text for `customerReason`: our fingerprint and the reason, at most 200 UTF-16 units.

        The fingerprint comes first, so that it survives if Wix truncates the text.
        """
        whole = f"(ref {self.fingerprint}) {self.request.reason}".strip()
        return whole.encode("utf-16-le")[: 2 * LONGEST_REASON].decode("utf-16-le", "ignore")

    @property
    def effect_ruled_out(self) -> bool:
        """Whether a person, asked about a call with an unknown effect, replayed: it had none.

        This holds until the next such call.
        """
        return self.facts.asked_a_person and self.replayed_at_ms > self.intent_at_ms

    def in_flow(self, flow: str) -> Refund:
        """Return the record as it is in this flow."""
        return self if self.flow == flow else self._replace(flow=str(flow))

    def public(self) -> dict[str, Any]:
        """Return the record as operators see it, ready for JSON."""
        return {
            "refund_id": self.refund_id,
            "store_id": self.request.store_id,
            "order_id": self.request.known_order_id,
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
            "hold": dict(self.hold) or None,
            "approval": dict(self.approval) or None,
            "approvals": [dict(one) for one in self.approvals],
            "resolution": dict(self.resolution) or None,
            "request": self.request.model_dump(mode="json"),
        }


def is_whole(fields: Mapping[str, str]) -> bool:
    """Whether the fields of a Redis hash are a record, not what is left of a forgotten one."""
    return "state" in fields


def refund_from(fields: Mapping[str, str]) -> Refund:
    """Build a record from the fields of its Redis hash (see worker/ledger/README.md)."""

    def known(name: str) -> Any:
        text = fields.get(name)
        return json.loads(text) if text and text != "{}" else {}

    return Refund(
        request=stored_request(fields["request"]),
        state=State(fields["state"]),
        flow=fields.get("flow", ""),
        **_numbers(fields),
        died_in=fields.get("died_in", ""),
        facts=facts_from(fields.get("facts", "")),
        reason=known("reason"),
        hold=known("hold"),
        approval=known("approval"),
        approvals=tuple(known("approvals")),
        resolution=known("resolution"),
    )


#: The fields that are whole numbers; 0 if they are absent.
_NUMBERS = (
    *("version", "attempt", "attempts", "wix_calls", "failing_since_ms", "intent_at_ms"),
    *("accepted_at_ms", "updated_at_ms", "due_at_ms", "replayed_at_ms", "last_try_ms"),
)


def _numbers(fields: Mapping[str, str]) -> dict[str, int]:
    try:
        return {name: int(fields.get(name) or 0) for name in _NUMBERS}
    except ValueError:
        # Lua writes a large number as 1.7e+12.
        return {name: int(Decimal(fields.get(name) or 0)) for name in _NUMBERS}
