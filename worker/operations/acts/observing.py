"""Let upstream be told what the merchant of a store does, or not any more."""

from __future__ import annotations

from worker.ledger.acts import Acts
from worker.ledger.audit_log import Operator


def observe(acts: Acts, store_id: str, *, is_on: bool, operator: Operator) -> bool:
    """Begin to observe the merchant of a store, from now on, or end it; False if it is so."""
    act = operator.act("stores.observe", store_id, {"observed": not is_on}, {"observed": is_on})
    return acts.observe(store_id, act, is_on=is_on)
