"""The events about what merchants do themselves: they refund an order, or cancel one."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from worker.refund.facts import Facts
from worker.refund.money import money
from worker.refund.outcomes import outcome, paid_of, payments_of
from worker.refund.public_status import Status


def observed(
    kind: Literal["observed", "cancelled_by_merchant"],
    facts: Facts,
    status: Status,
    *,
    happened_at: datetime | None,
    **names: str,
) -> dict[str, str]:
    """Return the event; *names* are `store_id`, `order_id` and `order_number`."""
    content: dict[str, Any] = {
        **names,
        "status": status,
        "happened_at": None if happened_at is None else happened_at.isoformat(),
        "paid": paid_of(facts),
        "moved_by_wix": money(facts.moved_by_wix, facts.currency),
        "to_pay_back": money(facts.to_pay_back, facts.currency),
    }
    if kind == "observed":
        content["wix_refund_ids"] = [facts.wix_refund_id]
        content["amount"] = money(facts.refund_amount, facts.currency)
        content["payments"] = payments_of(facts)
    return outcome(kind, kind, **content)
