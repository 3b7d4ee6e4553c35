"""Fulfillments in the simulator: created, listed and deleted."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.wix_caller import NOBODY, Wix, code
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
