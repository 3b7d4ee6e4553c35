"""What waits for an approval, for `refunds status`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from worker.operations.tallies import UNKNOWN, amounts_of


def approvals_of(found: Mapping[str, Any], shift_ms: int) -> dict[str, Any]:
    """Return how many refunds wait, the sums, and the first ones, in order of arrival."""
    sums = dict(found["sums"] or {})
    unknown = int(sums.pop(UNKNOWN, 0))
    return {
        "count": found["count"],
        "amounts": amounts_of(sums, ""),
        "amount_unknown": unknown,
        "refunds": [_waiting(one, shift_ms) for one in found["refunds"] or []],
    }


def _waiting(one: Mapping[str, Any], shift_ms: int) -> dict[str, Any]:
    approval = json.loads(one["approval"] or "{}")
    return {
        "refund_id": one["id"],
        "store_id": one["store_id"],
        "since_ms": round(float(one["hold_at_ms"] or 0)) + shift_ms,
        "amount": approval.get("amount"),
        "currency": approval.get("currency") or None,
        "why": json.loads(one["hold"] or "{}").get("why"),
        "approvals": len(json.loads(one["approvals"] or "[]")),
        "approvals_needed": approval.get("people", 1),
    }
