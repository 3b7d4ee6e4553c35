"""Orders, fulfillments, authorizations and searches at the simulator. W20 to W45."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.support.wix_caller import ACCOUNT, BEFORE, NOBODY, SITE, Wix, code
from worker.simulator import Fault
from worker.simulator.contract.routes import MUTATING, ROUTES
from worker.simulator.rules.table import RULES, WIDE_RULES
from worker.simulator.world.orders import Order

FULFILLMENTS = "/ecom/v1/fulfillments"


@pytest.fixture
def wix() -> Wix:
    """A simulator with one store."""
    return Wix()


def _cancel(wix: Wix, order: Order, **body: Any) -> httpx.Response:
    return wix.call("POST", f"/ecom/v1/orders/{order.id}/cancel", body)


def test_every_endpoint_has_a_rule() -> None:
    """24 endpoints, each with exactly one rule."""
    names = [route.endpoint for route in ROUTES]
    assert len(names) == len(set(names)) == 24
    assert set(names) == RULES.keys() | WIDE_RULES.keys()
    assert set(names) >= MUTATING


def test_an_order_has_wixs_shape(wix: Wix) -> None:
    """Prices that add up, balances, channel, and the fields that a test overrides."""
    order = wix.order(
        BEFORE,
        lines=[{"price": "48.75", "quantity": 2, "tax": "3.90", "name": "Käsekuchen 🍰"}],
        shipping="5.00",
        fees=[{"amount": "2.00"}],
        discount="1.40",
        amounts=("100.00",),
        channel="TIKTOK",
        imported=True,
        purchased_date="2020-01-01T00:00:00.000Z",
        extra={"status": "ON_HOLD", "tomorrow": {"x": 1}},
    )
    shown = wix.get(order)
    prices = {name: price["amount"] for name, price in shown["priceSummary"].items()}
    assert prices == {
        "subtotal": "97.50",
        "shipping": "5.00",
        "tax": "3.90",
        "discount": "1.40",
        "total": "107.00",
        "totalAdditionalFees": "2.00",
    }
    assert shown["balanceSummary"]["balance"]["amount"] == "7.00"
    assert (shown["paymentStatus"], shown["status"]) == ("PARTIALLY_PAID", "ON_HOLD")
    assert (shown["tomorrow"], shown["imported"]) == ({"x": 1}, True)
    assert shown["purchasedDate"] == "2020-01-01T00:00:00.000Z"
    assert shown["lineItems"][0]["productName"]["original"] == "Käsekuchen 🍰"
    assert shown["channelInfo"]["type"] == "TIKTOK"
    assert shown["lineItems"][0]["price"]["formattedAmount"] == "$48.75"


def test_the_largest_orders_can_be_placed(wix: Wix) -> None:
    """300 lines and 50 payments."""
    order = wix.order(lines=[{"price": "1.00"}] * 300, amounts=["6.00"] * 50)
    shown = wix.get(order)
    assert (len(shown["lineItems"]), shown["paymentStatus"]) == (300, "PAID")
    assert len(wix.refundability(order)["payments"]) == 50


@pytest.mark.parametrize(
    ("payments", "status"),
    [
        ([{"amount": "101.40", "status": "PENDING"}], "PENDING"),
        ([{"amount": "101.40", "status": "PENDING_MERCHANT"}], "PENDING_MERCHANT"),
        ([{"amount": "101.40", "status": "DECLINED"}], "DECLINED"),
        ([{"amount": "101.40", "authorized": True}], "PENDING"),
        ([{"amount": "1.40"}, {"amount": "100.00", "status": "PENDING"}], "PARTIALLY_PAID"),
    ],
)
def test_the_payment_status_follows_the_payments(
    wix: Wix, payments: list[dict[str, Any]], status: str
) -> None:
    """With the values of W50."""
    assert wix.get(wix.order(payments=payments))["paymentStatus"] == status


def test_what_an_authorized_order_shows_can_be_switched(wix: Wix) -> None:
    """Its payment status is unknown."""
    wix.simulator.set_flags(authorized_shows="PAID")
    order = wix.order(payments=[{"amount": "5", "authorized": True}])
    assert wix.get(order)["paymentStatus"] == "PAID"
    assert wix.get(order)["balanceSummary"]["authorized"]["amount"] == "5"


def test_a_cancel_restocks_and_mails_only_when_asked(wix: Wix) -> None:
    """The books show both."""
    quiet, loud = wix.order(), wix.order(lines=[{"price": "1.00", "quantity": 3}])
    _cancel(wix, quiet)
    _cancel(wix, loud, restockAllItems=True, sendOrderCanceledEmail=True)
    assert (wix.book(quiet)["restocked"], wix.book(quiet)["emails"]) == ({}, [])
    assert wix.book(loud)["restocked"] == {loud.lines[0].id: 3}
    assert wix.book(loud)["emails"] == ["order_canceled"]


@pytest.mark.parametrize(
    ("flag", "order"),
    [
        ("cancel_twice", {"status": "CANCELED"}),
        ("cancel_initialized", {"status": "INITIALIZED"}),
        ("cancel_archived", {"archived": True}),
        ("cancel_fulfilled", {"fulfillments": 1}),
        ("cancel_fulfilled", {"marked_fulfilled": True}),
    ],
)
def test_unknown_cancels_can_be_switched(wix: Wix, flag: str, order: dict[str, Any]) -> None:
    """Each is accepted or refused (unknown); a refused one changes nothing."""
    placed = wix.order(**order)
    wix.simulator.set_flags(**{flag: "428"})
    assert _cancel(wix, placed).status_code == 428
    assert placed.cancellations == 0
    wix.simulator.set_flags(**{flag: "ok"})
    assert _cancel(wix, placed).json()["order"]["status"] == "CANCELED"


def test_orders_are_archived_and_get_activities(wix: Wix) -> None:
    """With the calls that merchants and their tools use."""
    order = wix.order()
    path = f"/ecom/v1/orders/{order.id}"
    wix.call("PATCH", path, {"order": {"archived": True, "buyerInfo": {"email": "z@b.co"}}})
    wix.call("POST", f"{path}/activities/add", {"orderActivities": [{"merchantComment": {}}, {}]})
    shown = wix.get(order)
    assert (shown["archived"], shown["buyerInfo"]["email"]) == (True, "z@b.co")
    kinds = [activity["activityType"] for activity in shown["activities"]]
    assert kinds == ["ORDER_PLACED", "MERCHANT_COMMENT", "CUSTOM_ACTIVITY"]
    rejected = wix.order(status="REJECTED")
    answer = wix.call("PATCH", f"/ecom/v1/orders/{rejected.id}", {"order": {}})
    assert code(answer) == (428, "ORDER_IS_REJECTED")


def test_the_payment_status_may_lag_behind_a_refund(wix: Wix) -> None:
    """How long is unknown."""
    wix.simulator.set_flags(payment_status_lag_ms=1_000)
    order = wix.order()
    wix.refund(order, "101.40")
    assert wix.get(order)["paymentStatus"] == "PAID"
    wix.now_ms += 1_000
    assert wix.get(order)["paymentStatus"] == "FULLY_REFUNDED"


@pytest.mark.parametrize(("flag", "expected"), [("coded", "ORDER_NOT_FOUND"), ("plain", "")])
def test_the_answer_for_unknown_orders_can_be_switched(wix: Wix, flag: str, expected: str) -> None:
    """GetOrder documents its code (documented), the other calls have none (unknown)."""
    wix.simulator.set_flags(order_not_found=flag)
    path = f"/ecom/v1/orders/{NOBODY}"
    assert code(wix.call("GET", path)) == (404, "ORDER_NOT_FOUND")
    assert code(wix.call("POST", f"{path}/cancel", {})) == (404, expected)


def test_a_throttled_call_may_say_how_long(wix: Wix) -> None:
    """Whether a 429 has Retry-After is unknown."""
    order = wix.order()
    for wait_s in (None, 7):
        wix.simulator.set_flags(throttled_s=wait_s)
        wix.simulator.script(Fault("status", "get_order", status=429))
        answer = wix.call("GET", f"/ecom/v1/orders/{order.id}")
        assert answer.headers.get("retry-after") == (str(wait_s) if wait_s else None)


def test_a_site_may_make_so_many_calls_within_a_minute(wix: Wix) -> None:
    """The minute slides, or follows the clock; whether refused calls count is unknown."""
    order, other = wix.order(), wix.simulator.add_store()
    for window, counts, later_ms, status in (
        ("sliding", False, 59_999, 429),
        ("sliding", False, 60_000, 200),
        ("sliding", True, 60_000, 429),
        ("fixed", False, 30_000, 200),
    ):
        wix.now_ms += 600_000 - wix.now_ms % 60_000 + 30_000
        wix.simulator.set_flags(quota_per_min=2, quota_window=window, quota_counts_refused=counts)
        path, start_ms = f"/ecom/v1/orders/{order.id}", wix.now_ms
        assert [wix.call("GET", path).status_code for _ in range(2)] == [200, 200]
        wix.now_ms = start_ms + 29_999
        assert [wix.call("GET", path).status_code for _ in range(2)] == [429, 429]
        assert wix.simulator.has_quota(other)
        wix.now_ms = start_ms + later_ms
        assert wix.call("GET", path).status_code == status


def test_the_merchant_can_do_what_the_dashboard_offers(wix: Wix) -> None:
    """Each action, as the worker will find the order."""
    act = wix.simulator
    order = wix.order(lines=[{"price": "50.00", "quantity": 2}])
    act.merchant_fulfills(order.id, quantity=1)
    assert wix.get(order)["fulfillmentStatus"] == "PARTIALLY_FULFILLED"
    act.merchant_marks_fulfilled(order.id)
    assert wix.get(order)["fulfillmentStatus"] == "FULFILLED"
    act.merchant_unfulfills(order.id)
    assert wix.get(order)["fulfillmentStatus"] == "NOT_FULFILLED"
    act.merchant_refunds(order.id, "refunded", amount="30.00")
    assert wix.book(order)["refunded"] == "30.00"
    act.merchant_refunds(order.id, external=True)
    assert wix.book(order)["refund_pending"] == "70.00"
    wix.now_ms += act.flags.external_settles_ms
    assert wix.get(order)["paymentStatus"] == "FULLY_REFUNDED"
    assert wix.book(order)["refunded"] == "100.00"
    act.merchant_archives(order.id)
    assert wix.get(order)["archived"] is True
    for action, status in ((act.merchant_voids, "VOIDED"), (act.merchant_captures, "APPROVED")):
        authorized = wix.order(payments=[{"amount": "5.00", "authorized": True}])
        action(authorized.id)
        assert wix.transactions(authorized)["payments"][0]["status"] == status
    with pytest.raises(ValueError, match="no line"):
        act.merchant_fulfills(order.id, NOBODY)


def test_the_books_show_what_was_sent_and_what_was_done(wix: Wix) -> None:
    """Refused and lost calls are listed, but only some of them were carried out."""
    order = wix.order(fulfillments=1)
    path = f"{FULFILLMENTS}/{order.fulfillments[0]['id']}/orders/{order.id}"
    wix.simulator.script(Fault("lost_reply", "delete_fulfillment"))
    wix.call("DELETE", path)
    wix.call("DELETE", path)
    _cancel(wix, order)
    book = wix.book(order)
    assert book["effects"] == ["delete_fulfillment", "cancel_order"]
    assert book["mutating_calls"] == [
        {"endpoint": "delete_fulfillment", "status": 504},
        {"endpoint": "delete_fulfillment", "status": 404},
        {"endpoint": "cancel_order", "status": 200},
    ]
    assert book["fulfillments_deleted"] == 1
    assert wix.simulator.books()["calls_per_endpoint"]["delete_fulfillment"] == 2


def test_wrong_orders_are_not_placed(wix: Wix) -> None:
    """A field that does not exist, or a line that the order does not have."""
    with pytest.raises(TypeError, match="an order has no colour"):
        wix.order(colour="red")
    with pytest.raises(ValueError, match="no line"):
        wix.order(fulfillments=[{"lineItems": [{"id": NOBODY}]}])
    with pytest.raises(ValueError, match="no more fulfillments than lines"):
        wix.order(lines=[{"price": "1.00"}], fulfillments=2)
    parcels = [
        {"lineItems": [{"index": 0, "quantity": 1}], "trackingInfo": {"trackingNumber": "9"}}
    ]
    order = wix.order(lines=[{"price": "1.00", "quantity": 2}], fulfillments=parcels)
    assert order.fulfillments[0]["trackingInfo"] == {"trackingNumber": "9"}
    assert wix.get(order)["fulfillmentStatus"] == "PARTIALLY_FULFILLED"


def test_an_id_may_be_any_text(wix: Wix) -> None:
    """In a path it arrives as it was sent."""
    order = wix.order(order_id="Ordër 1")
    assert wix.get(order)["id"] == "Ordër 1"
    assert (order.site_id, wix.simulator.stores[SITE].account_id) == (SITE, ACCOUNT)
