"""Searches for orders in the simulator."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.support.wix_caller import Wix
from worker.simulator.world.orders import Order


@pytest.fixture
def wix() -> Wix:
    """A simulator with one store."""
    return Wix()


def _cancel(wix: Wix, order: Order, **body: Any) -> httpx.Response:
    return wix.call("POST", f"/ecom/v1/orders/{order.id}/cancel", body)


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
