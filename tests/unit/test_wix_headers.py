"""Headers of the calls to Wix. Nothing from one store's answers is sent for another store."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest

from worker.wix.client import ClientFactory, WixStore

ANSWER = {
    "order": {
        "id": "o",
        "createdDate": "2024-01-01T00:00:00Z",
        "status": "APPROVED",
        "currency": "USD",
    },
    "orderTransactions": {"orderId": "o", "payments": [], "refunds": []},
}
#: The headers of every call; None for any value.
ALWAYS = {
    "accept": "application/json",
    "accept-encoding": None,
    "authorization": None,
    "connection": "keep-alive",
    "host": "wix.test",
    "user-agent": None,
    "wix-site-id": None,
}


class Wix:
    """Records the requests; its answers set cookies and tokens."""

    def __init__(self) -> None:
        self.asked: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Answer with a cookie, a token and a challenge."""
        self.asked.append(request)
        key = request.headers["authorization"]
        return httpx.Response(
            200,
            json=ANSWER,
            headers=[
                ("Set-Cookie", f"session={key}; Path=/"),
                ("Set-Cookie", f"XSRF-TOKEN={key}; Domain=wix.test; Path=/; Secure"),
                ("X-Wix-Consistent", f"token-of-{key}"),
                ("WWW-Authenticate", "Basic"),
            ],
        )


@pytest.fixture
def wix() -> Wix:
    """Return a Wix without requests."""
    return Wix()


@pytest.fixture
def store(wix: Wix) -> Callable[[str], WixStore]:
    """Return a function that creates clients on one thread; https, for cookies marked as secure."""
    factory = ClientFactory(
        "https://wix.test",
        connect_timeout_ms=1_000,
        read_timeout_ms=1_000,
        total_timeout_ms=1_000,
        transport=lambda: httpx.MockTransport(wix),
    )

    def make(name: str) -> WixStore:
        return factory.store(f"site-{name}", f"key-{name}", before_mutation=lambda: None)

    return make


def test_nothing_of_one_store_is_sent_for_another(
    wix: Wix, store: Callable[[str], WixStore]
) -> None:
    """No cookie, token or key, although the stores share a thread and its connections."""
    store("a").get_order("o")
    store("b").get_order("o")
    first, second = wix.asked
    assert "cookie" not in second.headers
    left = [v for v in second.headers.values() if "key-a" in v or "site-a" in v]
    assert left == []
    assert (first.headers["wix-site-id"], second.headers["wix-site-id"]) == ("site-a", "site-b")


def test_a_store_gets_no_cookie_back_either(wix: Wix, store: Callable[[str], WixStore]) -> None:
    """A session could route a call depending on earlier ones."""
    one = store("a")
    one.get_order("o")
    one.get_order("o")
    assert "cookie" not in wix.asked[1].headers


def test_a_reading_call_sends_exactly_these_headers(
    wix: Wix, store: Callable[[str], WixStore]
) -> None:
    """The key without a scheme, one id header, and no token before Wix has sent one."""
    store("a").get_order("o")
    headers = wix.asked[0].headers
    assert set(headers) == set(ALWAYS)
    assert headers["authorization"] == "key-a"
    for name, value in ALWAYS.items():
        assert value is None or headers[name] == value


def test_a_call_with_a_body_adds_its_type_and_length(
    wix: Wix, store: Callable[[str], WixStore]
) -> None:
    """It also sends the consistency token of the same store's previous answer."""
    one = store("a")
    one.get_order("o")
    one.cancel_order("o", restock=False, notify_buyer=False)
    headers = wix.asked[1].headers
    assert set(headers) == {*ALWAYS, "content-type", "content-length", "x-wix-consistent"}
    assert headers["x-wix-consistent"] == "token-of-key-a"
