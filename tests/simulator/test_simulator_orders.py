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


def _create(wix: Wix, order: Order, *items: tuple[int, int | None], **tracking: Any) -> Any:
    lines = [
        {"id": order.lines[index].id} | ({} if units is None else {"quantity": units})
        for index, units in items
    ]
    body = {"fulfillment": {"lineItems": lines, "trackingInfo": tracking}}
    return wix.call("POST", f"{FULFILLMENTS}/orders/{order.id}/create-fulfillment", body)


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
        ([{"amount": "101.40", "authorized": True}], "NOT_PAID"),
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


def test_fulfillments_are_made_with_units_and_links(wix: Wix) -> None:
    """Without a quantity all remaining units; known carriers get a link (documented)."""
    order = wix.order(lines=[{"price": "1.00", "quantity": 3}, {"price": "1.00"}])
    made = _create(wix, order, (0, 1), trackingNumber="1", shippingProvider="ups").json()
    first = made["orderWithFulfillments"]["fulfillments"][0]
    assert first["id"] == made["fulfillmentId"]
    assert first["trackingInfo"]["trackingLink"].endswith("trackNums=1")
    assert wix.get(order)["fulfillmentStatus"] == "PARTIALLY_FULFILLED"
    assert _create(wix, order, (0, None), (1, None)).status_code == 200
    assert wix.get(order)["fulfillmentStatus"] == "FULFILLED"
    assert [item["quantity"] for item in order.fulfillments[1]["lineItems"]] == [2, 1]
    assert _create(wix, order, (0, 1)).status_code == 428
    assert wix.book(order)["fulfillments_created"] == 2


def test_a_tracking_number_is_there_once(wix: Wix) -> None:
    """409 on create and on update (documented), but not because of its own number."""
    order = wix.order(lines=[{"price": "1.00"}, {"price": "1.00"}])
    first = _create(wix, order, (0, 1), trackingNumber="1").json()["fulfillmentId"]
    assert code(_create(wix, order, (1, 1), trackingNumber="1")) == (
        409,
        "TRACKING_NUMBER_ALREADY_EXISTS",
    )
    second = _create(wix, order, (1, 1), trackingNumber="2").json()["fulfillmentId"]
    for fulfillment_id, status in ((first, 200), (second, 409)):
        body = {"fulfillment": {"id": fulfillment_id, "trackingInfo": {"trackingNumber": "1"}}}
        path = f"{FULFILLMENTS}/{fulfillment_id}/orders/{order.id}"
        assert wix.call("PATCH", path, body).status_code == status
    path = f"{FULFILLMENTS}/{NOBODY}/orders/{order.id}"
    assert wix.call("PATCH", path, {"fulfillment": {}}).status_code == 404


def test_only_approved_orders_are_fulfilled(wix: Wix) -> None:
    """And only with lines that they have (documented)."""
    assert _create(wix, wix.order(status="PENDING"), (0, 1)).status_code == 428
    order = wix.order()
    body = {"fulfillment": {"lineItems": [{"id": NOBODY, "quantity": 1}]}}
    path = f"{FULFILLMENTS}/orders/{order.id}/create-fulfillment"
    assert wix.call("POST", path, body).status_code == 404


def test_a_line_in_two_fulfillments_can_be_switched(wix: Wix) -> None:
    """Wix's documents contradict each other (unknown)."""
    order = wix.order(lines=[{"price": "1.00", "quantity": 2}])
    _create(wix, order, (0, 1))
    wix.simulator.set_flags(split_lines="428")
    assert _create(wix, order, (0, 1)).status_code == 428
    wix.simulator.set_flags(split_lines="ok")
    assert _create(wix, order, (0, 1)).status_code == 200


def test_whether_a_delete_restocks_can_be_switched(wix: Wix) -> None:
    """It is not documented (unknown)."""
    for restocks in (False, True):
        wix.simulator.set_flags(delete_restocks=restocks)
        order = wix.order(fulfillments=1)
        path = f"{FULFILLMENTS}/{order.fulfillments[0]['id']}/orders/{order.id}"
        assert wix.call("DELETE", path).status_code == 200
        assert bool(wix.book(order)["restocked"]) == restocks


def test_several_orders_are_read_in_one_call(wix: Wix) -> None:
    """Unknown ones are left out, or reported in the answer (documented)."""
    first, second = wix.order(fulfillments=1), wix.order()
    ids = {"orderIds": [first.id, NOBODY, second.id]}
    listed = wix.call("POST", f"{FULFILLMENTS}/list-by-ids", ids).json()["ordersWithFulfillments"]
    assert [len(one["fulfillments"]) for one in listed] == [1, 0]
    listed = wix.call("POST", "/ecom/v1/payments/list-by-ids", ids).json()["orderTransactions"]
    assert [one["orderId"] for one in listed] == [first.id, second.id]
    asked = [{"orderId": order_id, "fulfillments": [{}]} for order_id in (second.id, NOBODY)]
    path = f"{FULFILLMENTS}/orders/bulk/create-fulfillments"
    answer = wix.call("POST", path, {"ordersWithFulfillments": asked}).json()
    done = [result["itemMetadata"]["success"] for result in answer["results"]]
    assert (done, answer["bulkActionMetadata"]["totalFailures"]) == ([True, False], 1)
    assert wix.get(second)["fulfillmentStatus"] == "FULFILLED"


def test_a_void_takes_its_time(wix: Wix) -> None:
    """PENDING, then VOIDED; until then still authorized (documented)."""
    wix.simulator.set_flags(authorization_ms=1_000)
    order = wix.order(payments=[{"amount": "5.00", "authorized": True}])
    assert code(_cancel(wix, order)) == (428, "ORDER_HAS_AUTHORIZED_TRANSACTION")
    body = {"paymentIds": [order.payments[0].id]}
    answer = wix.bill("void-authorized-payments", order, **body).json()["orderTransactions"]
    details = answer["payments"][0]["regularPaymentDetails"]["authorizationDetails"]
    assert (answer["payments"][0]["status"], details["void"]["status"]) == ("AUTHORIZED", "PENDING")
    assert code(wix.bill("void-authorized-payments", order, **body))[0] == 409
    wix.now_ms += 1_000
    assert wix.transactions(order)["payments"][0]["status"] == "VOIDED"
    assert _cancel(wix, order).status_code == 200
    assert wix.book(order)["voided"] == [order.payments[0].id]


def test_a_capture_takes_its_time_and_makes_it_a_payment(wix: Wix) -> None:
    """Then it can be refunded, and no longer voided (documented)."""
    wix.simulator.set_flags(authorization_ms=1_000)
    order = wix.order(payments=[{"amount": "5.00", "authorized": True}])
    payment = {"paymentId": order.payments[0].id}
    less = {"payments": [payment | {"amount": {"amount": "4.00"}}]}
    assert code(wix.bill("capture-authorized-payments", order, **less)) == (400, "INVALID_AMOUNT")
    whole = {"payments": [payment]}
    assert wix.bill("capture-authorized-payments", order, **whole).status_code == 200
    again = wix.bill("capture-authorized-payments", order, **whole)
    assert code(again) == (428, "PAYMENT_HAS_PENDING_CAPTURE")
    wix.now_ms += 1_000
    again = wix.bill("capture-authorized-payments", order, **whole)
    assert code(again) == (409, "PAYMENT_ALREADY_CAPTURED")
    void = wix.bill("void-authorized-payments", order, paymentIds=[order.payments[0].id])
    assert code(void) == (428, "PAYMENT_ALREADY_CAPTURED")
    assert wix.get(order)["paymentStatus"] == "PAID"
    assert wix.refund(order, "5.00").status_code == 200


@pytest.mark.parametrize(
    ("payment", "expected"),
    [
        ({}, (428, "PAYMENT_NOT_AUTHORIZED")),
        ({"voided": True}, (409, "PAYMENT_ALREADY_VOIDED")),
        (
            {"authorized": True, "non_refundable": "TRANSACTION_NOT_FOUND"},
            (404, "GATEWAY_TRANSACTION_NOT_FOUND"),
        ),
        (None, (404, "PAYMENT_NOT_FOUND")),
    ],
)
def test_voids_are_refused_with_their_codes(
    wix: Wix, payment: dict[str, Any] | None, expected: tuple[int, str]
) -> None:
    """Those of W75; PAYMENT_ALREADY_CAPTURED is tested above."""
    order = wix.order(payments=[{"amount": "5.00"} | (payment or {})])
    wanted = NOBODY if payment is None else order.payments[0].id
    answer = wix.bill("void-authorized-payments", order, paymentIds=[wanted])
    assert code(answer) == expected


def test_the_merchant_sets_the_status_of_an_offline_payment(wix: Wix) -> None:
    """The status of a card payment cannot be set."""
    waiting = {"amount": "5.00", "offline": True, "status": "PENDING_MERCHANT"}
    order = wix.order(payments=[waiting, {"amount": "1.00"}])
    for payment, status in zip(order.payments, (200, 428), strict=True):
        path = f"/ecom/v1/payments/{payment.id}/orders/{order.id}"
        path += "/update-payment-transaction-status"
        assert wix.call("POST", path, {"status": "APPROVED"}).status_code == status
    assert wix.get(order)["paymentStatus"] == "PAID"


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


def _search(wix: Wix, **search: Any) -> Any:
    return wix.call("POST", "/ecom/v1/orders/search", {"search": search}).json()


def test_searches_filter_sort_and_page(wix: Wix) -> None:
    """Newest first; a cursor contains the search; INITIALIZED orders are never found."""
    orders = [wix.order(f"2025-01-0{day}T00:00:00.000Z") for day in range(1, 6)]
    wix.order(status="INITIALIZED")
    cheap = wix.order("2024-01-01T00:00:00.000Z", amounts=("9.00",))
    first = _search(wix, cursorPaging={"limit": 4}, filter={"archived": False})
    ids = [order["id"] for order in first["orders"]]
    assert ids == [order.id for order in reversed(orders[1:])]
    assert (first["metadata"]["count"], first["metadata"]["hasNext"]) == (4, True)
    rest = _search(wix, cursorPaging={"cursor": first["metadata"]["cursors"]["next"]})
    assert [order["id"] for order in rest["orders"]] == [orders[0].id, cheap.id]
    assert rest["metadata"]["hasNext"] is False
    for wanted in (
        {"number": {"$eq": cheap.number}},
        {"number": cheap.number},
        {"priceSummary.total.amount": {"$lt": "10"}},
        {"createdDate": {"$lt": "2024-04-22T00:00:00Z"}},
        {"$and": [{"status": {"$in": ["APPROVED"]}}, {"$not": {"id": {"$in": ids}}}]},
    ):
        found = [order["id"] for order in _search(wix, filter=wanted)["orders"]]
        assert found[-1] == cheap.id
        assert len(found) <= 2
    ascending = _search(wix, sort=[{"fieldName": "createdDate", "order": "ASC"}])
    assert ascending["orders"][0]["id"] == cheap.id


@pytest.mark.parametrize(
    "search",
    [
        {"filter": {"colour": "red"}},
        {"filter": {"number": {"$like": "1"}}},
        {"filter": {"archived": {"$gt": "x"}}},
        {"sort": [{"fieldName": "colour"}]},
        {"cursorPaging": {"cursor": "mine"}},
    ],
)
def test_wrong_searches_are_refused(wix: Wix, search: dict[str, Any]) -> None:
    """400 with the name of the field."""
    wix.order()
    answer = wix.call("POST", "/ecom/v1/orders/search", {"search": search})
    assert answer.status_code == 400
    assert answer.json()["details"]["validationError"]["fieldViolations"][0]["field"]


def test_the_search_index_may_lag(wix: Wix) -> None:
    """Even with the token (inferred); getOrder does not lag."""
    wix.simulator.set_flags(search_lag_ms=1_000)
    order = wix.order()
    _cancel(wix, order)
    assert _search(wix)["orders"][0]["status"] == "APPROVED"
    assert wix.get(order)["status"] == "CANCELED"
    wix.now_ms += 1_000
    assert _search(wix)["orders"][0]["status"] == "CANCELED"


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
