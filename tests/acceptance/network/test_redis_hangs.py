"""Redis takes requests and does not answer: who waits for a page or an answer is told soon."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx
import pytest

from tests.chaos.proxy import Proxy, proxied, redis_size
from tests.support.api import api_program, ask
from tests.support.bulk import dead_letters
from tests.support.console import ACT, Browser, console_program, text_of
from tests.support.rig import Rig

#: Short, so that the test need not wait for five seconds.
TIMEOUT_S = 2


class HangingRedis:
    """The way to a server that stops answering when it is told to."""

    def __init__(self, proxy: Proxy) -> None:
        self.url = f"redis://127.0.0.1:{proxy.port}/0?socket_timeout={TIMEOUT_S}"
        self.unanswered = 0
        """Requests that it got meanwhile."""
        self._is_hanging = False
        self._goes_on = threading.Event()
        proxy.before = self._look_at

    def hang(self) -> None:
        """Answer nothing from now on."""
        self._is_hanging = True

    def end(self) -> None:
        """Let the threads of the proxy end."""
        self._goes_on.set()

    def _look_at(self, _: str) -> None:
        if self._is_hanging:
            self.unanswered += 1
            self._goes_on.wait()


@contextmanager
def hanging_redis(rig: Rig) -> Iterator[HangingRedis]:
    """Yield the way to the server of *rig*."""
    port = int(rig.redis.get_connection_kwargs()["port"])
    with proxied(port, lambda _: "", redis_size) as proxy:
        redis = HangingRedis(proxy)
        try:
            yield redis
        finally:
            redis.end()


def _page(browser: Browser, _: str) -> httpx.Response:
    return browser.get("/")


def _refund(browser: Browser, letter: str) -> httpx.Response:
    return browser.get(f"/refund?id={letter}")


def _act(browser: Browser, letter: str) -> httpx.Response:
    return browser.post("/refund/act", {"id": letter, "act": "dead.discard", "why": "x"})


@pytest.mark.parametrize(
    ("request_of", "tells_that_it_is_not_known"), [(_page, False), (_refund, False), (_act, True)]
)
def test_the_console_tries_once(
    rig: Rig, request_of: Callable[[Browser, str], httpx.Response], tells_that_it_is_not_known: bool
) -> None:
    """It says that Redis does not answer, and of an act that it may have been done."""
    [letter] = dead_letters(rig, 1)
    with (
        hanging_redis(rig) as redis,
        console_program(redis.url, rig.settings.namespace) as running,
        running.browser(ACT) as browser,
    ):
        assert browser.get(f"/refund?id={letter}").status_code == 200
        redis.hang()
        answer = request_of(browser, letter)
        unanswered = redis.unanswered
    assert answer.status_code == 503
    assert "Redis at REFUNDS_REDIS_URL does not answer" in text_of(answer)
    assert ("not known whether this was done" in text_of(answer)) is tells_that_it_is_not_known
    assert unanswered == 1


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_the_http_api_tries_once(rig: Rig, method: str) -> None:
    """Whoever asks gets 503, and asks again."""
    with (
        hanging_redis(rig) as redis,
        api_program(redis.url, rig.settings.namespace) as running,
        running.client() as client,
    ):
        assert client.get("/v1/refunds/rf-1").status_code == 404
        redis.hang()
        before = redis.unanswered
        answer = ask(client, "rf-1") if method == "POST" else client.get("/v1/refunds/rf-1")
        unanswered = redis.unanswered - before
    assert answer.status_code == 503
    assert "does not answer" in answer.text
    assert unanswered == 1
