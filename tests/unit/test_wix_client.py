"""Requests that the client sends, and what it makes of the answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal

import httpx
import pytest

from worker.errors import EffectUnknown, LeaseLost, Retryable, Unreadable
from worker.wix.client import ClientFactory, WixStore

ORDER = {"id": "o", "createdDate": "2024-01-01T00:00:00Z", "status": "APPROVED", "currency": "USD"}


def _store(
    answer: Callable[[httpx.Request], httpx.Response],
    guard: Callable[[], None] = lambda: None,
    *,
    total_timeout_ms: int = 1_000,
) -> WixStore:
    factory = ClientFactory(
        "http://wix.test",
        connect_timeout_ms=1_000,
        read_timeout_ms=1_000,
        total_timeout_ms=total_timeout_ms,
        transport=lambda: httpx.MockTransport(answer),
    )
    return factory.store("site-1", "IST.key", before_mutation=guard)


def test_a_call_carries_the_key_and_the_site_id() -> None:
    """The API key without a scheme, and only one of the two id headers. W1."""
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json={"order": ORDER})

    _store(answer).get_order("o/1")
    assert seen[0].headers["authorization"] == "IST.key"
    assert seen[0].headers["wix-site-id"] == "site-1"
    assert "wix-account-id" not in seen[0].headers
    assert str(seen[0].url) == "http://wix.test/ecom/v1/orders/o%2F1"


def test_the_consistency_token_is_sent_back() -> None:
    """The token of an answer is sent with the next call, so that we read our own writes. W2."""
    tokens: list[str | None] = []

    def answer(request: httpx.Request) -> httpx.Response:
        tokens.append(request.headers.get("x-wix-consistent"))
        return httpx.Response(200, json={"order": ORDER}, headers={"X-Wix-Consistent": "t-1"})

    store = _store(answer)
    store.get_order("o")
    store.get_order("o")
    assert tokens == [None, "t-1"]
    assert store.calls == 2


@pytest.mark.parametrize("error", [httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout])
def test_a_call_that_was_not_sent_is_retryable(error: type[httpx.HTTPError]) -> None:
    """Without a connection even a mutating call had no effect."""

    def answer(request: httpx.Request) -> httpx.Response:
        raise error("no", request=request)  # type: ignore[call-arg]  # a RequestError

    store = _store(answer)
    with pytest.raises(Retryable, match=error.__name__):
        store.cancel_order("o", restock=False, notify_buyer=False)
    assert (store.calls, store.sent) == (1, 0)


@pytest.mark.parametrize(
    "error", [httpx.ReadTimeout, httpx.WriteError, httpx.RemoteProtocolError, httpx.ReadError]
)
def test_a_call_that_broke_off_has_an_unknown_effect(error: type[httpx.HTTPError]) -> None:
    """A mutating call may have had an effect; a reading call can be repeated."""

    def answer(request: httpx.Request) -> httpx.Response:
        raise error("no", request=request)  # type: ignore[call-arg]  # a RequestError

    store = _store(answer)
    with pytest.raises(EffectUnknown):
        store.cancel_order("o", restock=False, notify_buyer=False)
    assert store.sent == 1
    with pytest.raises(Retryable):
        store.get_order("o")


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"{}", b'{"order": null}', b'{"order": {"id": "o", "createdDate": "x"}}',
     b'{"order": {"createdDate": "2024-01-01T00:00:00", "status": "", "currency": "USD"}}',
     b'{"order": {"createdDate": 1704067200, "status": "", "currency": "USD"}}'],
)  # fmt: skip
def test_an_answer_without_the_documented_fields_is_an_error(body: bytes) -> None:
    """After a mutating call the effect is unknown. A date without a time zone is not accepted."""
    store = _store(lambda _: httpx.Response(200, content=body))
    with pytest.raises(Retryable, match="does not match the documentation"):
        store.get_order("o")
    with pytest.raises(EffectUnknown, match="does not match the documentation"):
        store.submit_refund("o", {})


def test_a_slow_answer_is_cut_off() -> None:
    """Each byte arrives in time, but the answer as a whole takes too long."""

    def trickle() -> Iterator[bytes]:
        while True:
            yield b" "

    store = _store(lambda _: httpx.Response(200, content=trickle()), total_timeout_ms=1)
    with pytest.raises(Retryable, match="ReadTimeout"):
        store.get_order("o")


def test_the_guard_is_called_before_each_mutating_call_and_no_other() -> None:
    """A worker that has lost its lease changes nothing."""

    def forbid() -> None:
        raise LeaseLost("rf-1")

    def answer(request: httpx.Request) -> httpx.Response:
        assert request.method == "GET" or "refundability" in request.url.path
        body = {
            "order": ORDER,
            "payments": [],
            "orderTransactions": {"payments": [], "refunds": []},
            "orderWithFulfillments": {"fulfillments": []},
        }
        return httpx.Response(200, json=body)

    store = _store(answer, forbid)
    store.get_order("o")
    store.list_fulfillments("o")
    store.list_transactions("o")
    store.get_order_refundability("o")
    for call in (
        lambda: store.cancel_order("o", restock=False, notify_buyer=False),
        lambda: store.delete_fulfillment("o", "f"),
        lambda: store.submit_refund("o", {}),
        lambda: store.void_payments("o", ["p"]),
        lambda: store.create_fulfillment("o", {}),
    ):
        with pytest.raises(LeaseLost):
            call()
    assert store.calls == 4


def test_details_may_be_absent_but_lists_may_not() -> None:
    """A refund without a reason is still a refund; a missing list is not an empty one. W20."""
    part = {"paymentId": "p", "refundStatus": "PENDING"}
    refund = {"id": "r", "transactions": [part], "details": None, "createdDate": "soon"}
    body = {"orderTransactions": {"payments": [], "refunds": [refund]}}
    found = _store(lambda _: httpx.Response(200, json=body)).list_transactions("o").refunds[0]
    assert (found.reason, found.total, found.statuses) == ("", Decimal(0), ("PENDING",))
    assert found.created_date is None
    incomplete: tuple[dict[str, object], ...] = (
        {},
        {"payments": [], "refunds": None},
        {"payments": [], "refunds": [{}]},
    )
    for lists in incomplete:
        answer = httpx.Response(200, json={"orderTransactions": lists})
        with pytest.raises(Unreadable):
            _store(lambda _, answer=answer: answer).list_transactions("o")  # type: ignore[misc]  # a default
