"""Each reason of the table can happen, and ends as the table says."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest

from statemachine.flows import State
from tests.support.reason_cases import (
    REFUSED_JOBS,
    Case,
    approval_rejected,
    authorized_only,
    letter_of,
    message_for,
    needs_approval,
    paid_twice,
    payment,
    refunded_first,
    refused_call,
    run,
    suspended_store,
    waits_forever,
    with_refundable,
)
from tests.support.rig import AFTER, BEFORE, KEY, STORE_ID, Rig
from worker.refund.reasons import REASONS
from worker.simulator import Fault
from worker.simulator.contract.routes import ALL_SCOPES, BILLING

NOBODYS_STORE = "4b296c48-0000-4000-8000-00000000ffff"


def _disconnected(rig: Rig) -> Mapping[str, Any]:
    rig.stores.connect(STORE_ID, "sealed", {}, ())
    assert rig.stores.disconnect(STORE_ID)
    return rig.run(rig.order(AFTER)).reason


def _recorded_by_the_merchant(rig: Rig) -> Mapping[str, Any]:
    order = rig.order(AFTER, payments=[payment(offline=True)])
    refund = rig.run(order)
    rig.simulator.merchant_refunds(order.id, "in the shop")
    assert rig.replay(refund.refund_id, operator="ann", manual_done=True)
    rig.run_until_idle()
    return rig.load(refund.refund_id).reason


def _without_billing(rig: Rig) -> Mapping[str, Any]:
    rig.simulator.change_key(KEY, scopes=ALL_SCOPES - {BILLING})
    return rig.run(rig.order(AFTER)).reason


def _forbidden(rig: Rig) -> Mapping[str, Any]:
    order = rig.order(AFTER)
    rig.simulator.script(Fault("throttled_403", "get_order", order_id=order.id, times=1_000))
    return rig.run(order).reason


def _pending_elsewhere(rig: Rig) -> str:
    order = rig.order(AFTER)
    rig.simulator.merchant_refunds(order.id, reason="dashboard")
    return rig.request(order)


def _down(rig: Rig) -> str:
    return rig.request(rig.order(AFTER, payments=[payment(non_refundable="PROVIDER_IS_DOWN")]))


def _order_not_found(rig: Rig) -> Mapping[str, Any]:
    order = rig.order(AFTER)
    del rig.simulator.orders[order.id]
    return rig.run(order).reason


def _keeps_changing(rig: Rig) -> Mapping[str, Any]:
    order = rig.order(BEFORE, fulfillments=1)
    refund_id = rig.request(order)
    for _ in range(30):
        rig.simulator.script(Fault("status", "cancel_order", status=503))
        rig.run_queued()
        rig.simulator.merchant_fulfills(order.id)
        rig.let_an_hour_pass()
    return rig.load(refund_id).reason


def _cannot_unfulfill(rig: Rig) -> Mapping[str, Any]:
    rig.simulator.set_flags(cancel_fulfilled="428")
    return rig.run(rig.order(BEFORE, marked_fulfilled=True)).reason


def _already_refunded(rig: Rig) -> Mapping[str, Any]:
    order = rig.order(AFTER)
    rig.simulator.merchant_refunds(order.id, reason="dashboard")
    return rig.run(order).reason


def _vanished(rig: Rig) -> Mapping[str, Any]:
    order = rig.order(AFTER)
    rig.simulator.set_flags(provider_ms=10**9)
    refund_id = rig.request(order)
    rig.run_queued()
    order.refunds.clear()
    rig.run_until_idle()
    return rig.load(refund_id).reason


def _mixed(rig: Rig) -> Mapping[str, Any]:
    payments = [payment(), payment(outcome="FAILED")]
    return rig.run(rig.order(AFTER, payments=payments)).reason


def _many_payments(rig: Rig) -> Mapping[str, Any]:
    return rig.run(rig.order(AFTER, payments=[payment() for _ in range(51)])).reason


def _unclear(rig: Rig) -> Mapping[str, Any]:
    order = rig.order(AFTER)
    rig.simulator.script(
        Fault("status", "submit_refund", status=500),
        Fault("status", "submit_refund", status=428, code="PAYMENT_NOT_REFUNDABLE"),
    )
    return rig.run(order).reason


def _unreadable(rig: Rig) -> Mapping[str, Any]:
    return rig.run(rig.order(AFTER, extra={"createdDate": "yesterday"})).reason


def _store_unknown(rig: Rig) -> Mapping[str, Any]:
    refund_id = rig.request(rig.order(AFTER), store_id=NOBODYS_STORE)
    rig.run_until_idle()
    rig.redis.hincrby(rig.key("refund", refund_id), "updated_at_ms", -86_400_000)
    rig.redis.zadd(rig.key("probes"), {NOBODYS_STORE: 0})
    rig.prober().turn(lambda: False)
    return rig.load(refund_id).reason


def _store_not_connected(rig: Rig) -> Mapping[str, Any]:
    refund_id = rig.request(rig.order(AFTER), store_id=NOBODYS_STORE)
    rig.run_until_idle()
    return rig.load(refund_id).reason


def _bug(rig: Rig) -> Mapping[str, Any]:
    def broken(_: str) -> None:
        raise ZeroDivisionError

    rig.may_have_bugs = True
    actor = rig.broker.actors["assess_order"]
    actor.fn, real = broken, actor.fn
    rig.request(rig.order(AFTER))
    rig.run_queued()
    actor.fn = real
    return next(iter(rig.broker.quarantined().values()))


def _void_refused(rig: Rig) -> Mapping[str, Any]:
    code = "GATEWAY_TRANSACTION_NOT_FOUND"
    rig.simulator.script(Fault("status", "void_payments", status=404, code=code))
    return rig.run(rig.order(BEFORE, payments=[payment(authorized=True)])).reason


def _mismatch(rig: Rig) -> Mapping[str, Any]:
    order = rig.order(AFTER)
    line = {"line_item_id": order.lines[0].id, "quantity": 1}
    return rig.run(order, lines=[line], amount="500.00", currency="USD").reason


_LINE = {"line_item_id": "nowhere", "quantity": 1}

CASES: Mapping[str, Case] = {
    "order_not_found": _order_not_found,
    "order_pending": run(BEFORE, status="PENDING"),
    "order_not_approved": waits_forever(
        {}, lambda rig: rig.request(rig.order(BEFORE, status="INITIALIZED"))
    ),
    "order_rejected": run(AFTER, status="REJECTED"),
    "order_status_unknown": run(AFTER, extra={"status": "ON_THE_MOON"}),
    "order_view_only": run(AFTER, extra={"settings": {"limitedActions": True}}),
    "expired": run(AFTER, {"expires_at": "2024-01-01T00:00:00Z"}),
    "currency_mismatch": run(AFTER, {"amount": "1.00", "currency": "EUR"}),
    "amount_precision": run(AFTER, {"amount": "1.50", "currency": "JPY"}, currency="JPY"),
    "partial_needs_standard_refund": run(BEFORE, {"amount": "1.00", "currency": "USD"}),
    "cannot_unfulfill": _cannot_unfulfill,
    "also_refundable": lambda rig: with_refundable(rig, "escalate"),
    "refund_refused": refunded_first("submit_refund", "PAYMENT_NOT_REFUNDABLE"),
    "refunded_not_cancelled": refunded_first("cancel_order", "ORDER_IS_REJECTED"),
    "order_keeps_changing": _keeps_changing,
    "order_authorized": refused_call("cancel_order", "ORDER_HAS_AUTHORIZED_TRANSACTION", BEFORE),
    "void_failed": _void_refused,
    "void_not_settled": waits_forever({"authorization_ms": 10**12}, authorized_only(BEFORE)),
    "already_refunded": _already_refunded,
    "zero_price": run(AFTER, payments=[payment(non_refundable="ZERO_PRICE")]),
    "not_paid": run(AFTER, payments=[payment(status="DECLINED")]),
    "no_payment_recorded": run(AFTER, amounts=(), imported=True),
    "refund_disabled": run(AFTER, payments=[payment(non_refundable="DISABLED_BY_PROVIDER")]),
    "offset_by_chargeback": run(
        AFTER, payments=[payment(non_refundable="AMOUNT_OFFSET_BY_CHARGEBACK")]
    ),
    "refund_forbidden": run(AFTER, payments=[payment(non_refundable="FORBIDDEN")]),
    "payment_not_found": run(AFTER, payments=[payment(non_refundable="TRANSACTION_NOT_FOUND")]),
    "refusal_unknown": run(AFTER, payments=[payment(non_refundable="UNKNOWN_REASON")]),
    "amount_exceeds_refundable": run(AFTER, {"amount": "101.41", "currency": "USD"}),
    "amount_mismatch": _mismatch,
    "only_in_full": run(
        AFTER, {"amount": "5.00", "currency": "USD"}, payments=[payment(kind="gift_card")]
    ),
    "authorized_only_in_full": run(
        AFTER, {"amount": "5.00", "currency": "USD"}, payments=[payment(authorized=True)]
    ),
    "lines_not_refundable": run(AFTER, {"lines": [_LINE]}),
    "restock_refused": refused_call(
        "submit_refund", "INVALID_LINE_ITEM_RESTOCK_QUANTITY", status=400, restock=True
    ),
    "too_many_payments": _many_payments,
    "manual_payment": run(AFTER, payments=[payment(offline=True)]),
    "refund_failed": run(AFTER, payments=[payment(outcome="FAILED", reason_code="P-999")]),
    "partly_refunded": run(
        AFTER, payments=[payment(), payment(non_refundable="TRANSACTION_NOT_FOUND")]
    ),
    "after_manual_payment": _recorded_by_the_merchant,
    "refund_mixed": _mixed,
    "paid_twice": paid_twice,
    "refund_vanished": _vanished,
    "refund_not_settled": waits_forever(
        {"provider_ms": 10**12}, lambda rig: rig.request(rig.order(AFTER))
    ),
    "provider_down": waits_forever({}, _down),
    "refund_pending": waits_forever({"provider_ms": 10**12}, _pending_elsewhere),
    "outcome_unknown": _unclear,
    "refused_by_wix": refused_call("submit_refund", "SOMETHING_NEW"),
    "answer_unreadable": _unreadable,
    "attempts_used_up": refused_call("get_order", "", status=503),
    "store_unknown": _store_unknown,
    "store_not_connected": _store_not_connected,
    "store_disconnected": _disconnected,
    "wix_stores_missing": refused_call("get_order", "REQUIRED_APP_NOT_INSTALLED"),
    "scope_missing": _without_billing,
    "order_forbidden": _forbidden,
    "key_refused": suspended_store(lambda rig: rig.simulator.revoke_key(KEY)),
    "key_sealed_shut": suspended_store(
        lambda rig: rig.stores.connect(STORE_ID, "by another vault", {}, ())
    ),
    "needs_approval": needs_approval,
    "approval_rejected": approval_rejected,
    "worker_error": _bug,
    "invalid_job": letter_of(message_for("request_refund", refund_id="rf-1", store_id=STORE_ID)),
    **REFUSED_JOBS,
    "undecodable": letter_of("no JSON"),
    "unknown_actor": letter_of(message_for("refund_by_magic")),
}


def test_every_row_has_a_case() -> None:
    """A reason that cannot happen does not belong in the table."""
    assert set(CASES) == set(REASONS)


@pytest.mark.parametrize("code", sorted(REASONS))
def test_the_reason_happens_and_ends_as_the_table_says(rig: Rig, code: str) -> None:
    """The refund ends with the code and sentence of the table, and nothing happens twice."""
    reason = CASES[code](rig)
    assert reason["reason"] == code
    refunds = [rig.load(refund_id) for refund_id in rig.ledger.all_ids()]
    ended = [refund for refund in refunds if refund.reason.get("reason") == code]
    for refund in ended:
        assert refund.reason["sentence"] == REASONS[code].meaning
        if REASONS[code].ends == "suspended":
            assert (refund.state, refund.attempts) == (State.ACCEPTED, 0)
            store = rig.stores.find(refund.request.store_id)
            assert store.state in {"suspended", "unknown"}
        elif REASONS[code].ends == "held":
            assert (refund.state, refund.needs_approval) == (State.REFUNDABLE, True)
        else:
            assert refund.state == REASONS[code].ends
        if code == "scope_missing":
            assert "tick “Wix Stores”" in refund.reason["remedy"]
        else:
            assert refund.reason["remedy"] == REASONS[code].remedy
    assert ended or rig.broker.quarantined()
    for order in rig.simulator.orders.values():
        assert order.cancellations <= 1
        back = sum((order.refunded(payment.id) for payment in order.payments), Decimal(0))
        assert back <= order.paid
