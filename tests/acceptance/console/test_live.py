"""Live updates of the console: one stream of events, for those who are signed in."""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.support.bulk import dead_letters, dead_line
from tests.support.console import (
    ACT,
    APPROVE,
    VIEW,
    ConsoleProgram,
    console_scene,
    cookie,
    marks,
)
from tests.support.processes import PATIENCE_S, wait_until
from tests.support.rig import AFTER, Rig
from worker.console.live import MOST_OF_USER

Scene = tuple[Rig, ConsoleProgram]


@pytest.fixture(scope="module")
def scene(redis_url: str) -> Iterator[Scene]:
    """A worker with a console, shared by the tests of this file."""
    with console_scene(redis_url) as made:
        yield made


def test_a_change_is_told(scene: Scene) -> None:
    """A refund ends, a letter dies: the stream has a new mark, and the page shows it."""
    rig, program = scene
    with (
        program.browser(VIEW) as browser,
        browser.client.stream("GET", "/live", headers=cookie(browser)) as answer,
    ):
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["cache-control"] == "no-store"
        told = marks(answer)
        first = next(told)
        rig.run(rig.order(AFTER))
        dead_letters(rig, 1)
        assert any(mark != first for mark in told)
        assert dead_line(rig) in browser.text("/")


def test_the_plots_show_the_last_day(scene: Scene) -> None:
    """As inline SVG, each with a text that says the same."""
    rig, program = scene
    rig.run(rig.order(AFTER))
    dead_letters(rig, 1)
    rig.broker.beat()
    with program.browser(VIEW) as browser:
        page = browser.get("/").text
    assert page.count("<svg ") == 3
    assert page.count('role="img"') == 3
    assert "Refunds that ended: " in page
    assert "New dead letters: " in page
    assert "style=" not in page


def test_who_is_not_signed_in_hears_nothing(scene: Scene) -> None:
    """The browser does not try again."""
    with scene[1].browser() as browser:
        assert browser.get("/live").status_code == 403


def test_one_user_has_a_limited_number_of_streams(scene: Scene) -> None:
    """More are refused; when one ends there is room again."""
    with scene[1].browser(ACT) as browser, ExitStack() as opened:
        given = cookie(browser)

        def status() -> int:
            with browser.client.stream("GET", "/live", headers=given) as answer:
                return answer.status_code

        last = ExitStack()
        for each in [opened] * (MOST_OF_USER - 1) + [last]:
            answer = each.enter_context(browser.client.stream("GET", "/live", headers=given))
            lines = answer.iter_lines()
            assert next(lines) == "retry: 5000"
            each.callback(lines.close)  # type: ignore[attr-defined]  # it is a generator
        assert status() == 429
        last.close()
        wait_until(lambda: status() == 200)


def test_streams_that_are_opened_at_once_are_limited_too(scene: Scene) -> None:
    """Their requests are all there before the first one is answered."""
    with scene[1].browser(APPROVE) as browser, ExitStack() as opened:
        url = browser.client.base_url
        head = f"GET /live HTTP/1.1\r\nHost: x\r\nCookie: {cookie(browser)['Cookie']}\r\n\r\n"
        raws = [
            opened.enter_context(socket.create_connection((url.host, url.port or 80), PATIENCE_S))
            for _ in range(3 * MOST_OF_USER)
        ]
        for raw in raws:
            raw.sendall(head.encode())
        answers = [raw.recv(12).decode() for raw in raws]
    assert answers.count("HTTP/1.1 200") == MOST_OF_USER
    assert answers.count("HTTP/1.1 429") == 2 * MOST_OF_USER


def test_an_update_leaves_the_notes_to_the_next_page(scene: Scene) -> None:
    """A page that is updated meanwhile does not take what a form has to say."""
    rig, program = scene
    [letter] = dead_letters(rig, 1)
    with program.browser(ACT) as browser:
        form = {"id": letter, "act": "dead.discard", "why": "x"}
        assert browser.post("/refund/act", form).status_code == 303
        assert f"{letter}: discarded" not in browser.get("/", headers={"X-Refunds-Live": "1"}).text
        assert f"{letter}: discarded" in browser.text("/")


def test_the_streams_end_with_the_program(redis_url: str) -> None:
    """SIGTERM is not held up by a page that somebody has left open."""
    with console_scene(redis_url) as (_, program), program.browser(VIEW) as browser:
        ended = threading.Event()

        def listen() -> None:
            with browser.client.stream("GET", "/live", headers=cookie(browser)) as answer:
                started.set()
                assert list(answer.iter_lines()) is not None
            ended.set()

        started = threading.Event()
        thread = threading.Thread(target=listen)
        thread.start()
        assert started.wait(PATIENCE_S)
        program.process.send_signal(signal.SIGTERM)
        assert program.process.wait(PATIENCE_S) == 0
        assert ended.wait(PATIENCE_S)
        thread.join()
