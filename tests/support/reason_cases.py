"""Ways to bring about a reason code: each case returns the reason of a refund or a message."""

from __future__ import annotations

import copy
import json
import uuid
from collections.abc import Callable, Mapping
from contextlib import closing
from typing import Any

from config.fields import ProducerEntry
from tests.support.cells import Cells
from tests.support.rig import AFTER, ANN, BEFORE, STORE_ID, Rig
from worker.client import enqueue
from worker.operations.acts.approvals import reject
from worker.refund.request import parse_request
from worker.simulator import Fault
from worker.upstream.signing import Signer

Case = Callable[[Rig], Mapping[str, Any]]


def run(created: str, job: Mapping[str, Any] | None = None, **order: Any) -> Case:
    """Return the reason of a refund of such an order."""
    return lambda rig: rig.run(rig.order(created, **order), **(job or {})).reason


def refused_call(
    endpoint: str, code: str, created: str = AFTER, status: int = 428, **job: Any
) -> Case:
    """Return the reason after Wix refuses one call for good."""

    def case(rig: Rig) -> Mapping[str, Any]:
        rig.simulator.script(Fault("status", endpoint, status=status, code=code, times=1_000))
        return rig.run(rig.order(created), **job).reason

    return case


def with_refundable(rig: Rig, wanted: str) -> Mapping[str, Any]:
    """Return the reason of an old order that Wix could refund, with another setting for those."""
    settings = rig.settings.model_copy(update={"cancellation_refundable": wanted})
    other = Rig(settings, rig.simulator)
    reason = other.run(other.order(BEFORE)).reason
    other.close()
    return reason


def refunded_first(endpoint: str, code: str) -> Case:
    """Return the reason after Wix refuses a call; the order is refunded before it is cancelled."""

    def case(rig: Rig) -> Mapping[str, Any]:
        data = {"nonRefundableReason": "DISABLED_BY_PROVIDER"}
        rig.simulator.script(Fault("status", endpoint, status=428, code=code, data=data))
        return with_refundable(rig, "refund_then_cancel")

    return case


def waits_forever(flag: Mapping[str, Any], arrange: Callable[[Rig], Any]) -> Case:
    """Return the reason of a refund for which something stays pending too long."""

    def case(rig: Rig) -> Mapping[str, Any]:
        rig.simulator.set_flags(**flag)
        refund_id = arrange(rig)
        for _ in range(4):
            rig.run_queued()
            rig.age(refund_id, days=30)
            rig.let_an_hour_pass()
        return rig.load(refund_id).reason

    return case


def authorized_only(created: str) -> Callable[[Rig], str]:
    """Request a refund of an order whose payment is only authorized; return its id."""
    payment = {"amount": "20.00", "authorized": True}
    return lambda rig: rig.request(rig.order(created, payments=[payment]))


def payment(**more: Any) -> dict[str, Any]:
    """Return a payment of an order."""
    return {"amount": "20.00"} | more


def letter_of(body: str) -> Case:
    """Return the reason of a message that becomes a dead letter."""

    def case(rig: Rig) -> Mapping[str, Any]:
        rig.send_raw(body)
        rig.run_queued()
        return rig.broker.quarantined()["m-1"]

    return case


def message_for(actor: str, **job: Any) -> str:
    """Return the body of a message."""
    envelope = {"queue_name": "refunds", "actor_name": actor, "args": [], "kwargs": job}
    return json.dumps(
        envelope | {"options": {}, "message_id": "m-1", "message_timestamp": 1_700_000_000_000}
    )


def suspended_store(arrange: Callable[[Rig], object]) -> Case:
    """Return the reason for which a refund waits in its lane."""

    def case(rig: Rig) -> Mapping[str, Any]:
        arrange(rig)
        refund_id = rig.request(rig.order(AFTER))
        rig.run_until_idle()
        return rig.load(refund_id).reason

    return case


def paid_twice(rig: Rig) -> Mapping[str, Any]:
    """Return the reason after Wix carried out our call twice."""
    rig.simulator.set_flags(provider_ms=10**12)
    order = rig.order(AFTER, payments=[payment(amount="100.00")])
    refund_id = rig.request(order, amount="10.00", currency="USD")
    rig.run_queued()
    order.refunds.append(copy.deepcopy(order.refunds[0]) | {"id": str(uuid.uuid4())})
    rig.run_until_idle()
    return rig.load(refund_id).reason


def needs_approval(rig: Rig) -> Mapping[str, Any]:
    """Return the reason of a refund that is above a limit."""
    other = Rig(rig.settings.model_copy(update={"guard_refund": "1 USD"}), rig.simulator)
    refund_id = other.request(other.order(AFTER))
    other.run_until_idle()
    other.close()
    return rig.load(refund_id).reason


def approval_rejected(rig: Rig) -> Mapping[str, Any]:
    """Return the reason of a rejected one, of which a call may have had an effect."""
    assert needs_approval(rig)
    [refund_id] = rig.ledger.all_ids()
    rig.redis.hset(rig.key("refund", refund_id), "intent_at_ms", 1)
    reject(rig.acts, refund_id, operator=ANN)
    return rig.load(refund_id).reason


def refused_of_producer(may: Mapping[str, Any], *, sign: bool = True) -> Case:
    """Return the reason of a job that its producer may not send."""

    def case(rig: Rig) -> Mapping[str, Any]:
        entry = ProducerEntry.model_validate({"keys": ["k" * 32], **may})
        other = Rig(rig.settings.model_copy(update={"producer_keys": {"p": entry}}), rig.simulator)
        job = {"refund_id": "rf-1", "store_id": STORE_ID, "order_id": rig.order(AFTER).id}
        signer = Signer("p", "k" * 32) if sign else None
        enqueue(other.broker, parse_request(job), signer)
        other.run_until_idle()
        [letter] = other.broker.quarantined().values()
        other.close()
        return letter

    return case


def _conflict(rig: Rig) -> Mapping[str, Any]:
    order = rig.order(AFTER)
    rig.request(order, "rf-1")
    rig.request(order, "rf-1", reason="other")
    rig.run_queued()
    return next(iter(rig.broker.quarantined().values()))


def _numbered(orders: int) -> Case:
    """Return the reason of a job with the number of so many orders."""

    def case(rig: Rig) -> Mapping[str, Any]:
        for _ in range(orders):
            rig.order(AFTER, number="10124")
        job = {"refund_id": "rf-1", "store_id": STORE_ID, "order_number": "10124"}
        enqueue(rig.broker, parse_request(job))
        rig.run_until_idle()
        return rig.load("rf-1").reason

    return case


def _in_two_cells(rig: Rig) -> Mapping[str, Any]:
    url = rig.settings.redis_url.get_secret_value()
    with closing(Cells(url, namespace=rig.settings.namespace)) as cells:
        for cell in ("0", "2"):
            cells.move_in(cell, STORE_ID)
        cells.request()
        cells.run()
        return next(iter(cells.front.broker.quarantined().values()))


#: What happens to jobs that are valid but not taken.
REFUSED_JOBS: Mapping[str, Case] = {
    "order_number_unknown": _numbered(0),
    "order_number_ambiguous": _numbered(2),
    "conflict": _conflict,
    "store_in_two_cells": _in_two_cells,
    "bad_signature": refused_of_producer({"allow": ["*"]}, sign=False),
    "store_not_allowed": refused_of_producer({"allow": ["4b296c48-0000-4000-8000-000000000009"]}),
    "producer_limit": refused_of_producer({"allow": ["*"], "limit": {"USD": "1.00"}}),
}
