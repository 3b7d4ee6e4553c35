"""Hostile requests to the console: forged, oversized, or from another site."""

from __future__ import annotations

import re
import signal
import socket
import uuid
from collections.abc import Iterator

import pytest

from tests.support.console import (
    ACT,
    VIEW,
    Browser,
    ConsoleProgram,
    console_program,
)
from tests.support.processes import PATIENCE_S
from tests.support.rig import KEY
from worker.console.forms import MOST_FORM_BYTES
from worker.console.gate import HEADERS
from worker.demo.embedded import embedded_server

TOO_MUCH = b"x" * (MOST_FORM_BYTES + 1)
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture(scope="module")
def program(redis_url: str) -> Iterator[ConsoleProgram]:
    """A console, shared by the tests of this file."""
    with console_program(redis_url, f"t{uuid.uuid4().hex[:12]}") as running:
        yield running


@pytest.fixture
def browser(program: ConsoleProgram) -> Iterator[Browser]:
    """A browser in which somebody is signed in who may act."""
    with program.browser(ACT) as signed_in:
        yield signed_in


def exchange(browser: Browser, request: bytes) -> str:
    """Send bytes to the console, as they are, and return its answer."""
    url = browser.client.base_url
    with socket.create_connection((url.host, url.port or 80), PATIENCE_S) as raw:
        raw.sendall(request)
        return b"".join(iter(lambda: raw.recv(65_536), b"")).decode()


def is_signed_in(browser: Browser) -> bool:
    """Whether a session is still there."""
    return browser.get("/").status_code == 200


@pytest.mark.parametrize("proof", ["", "x", "ä", "x" * 43])
def test_a_form_without_our_proof_is_refused(browser: Browser, proof: str) -> None:
    """Another site can send a form, but does not know the proof of the session."""
    answer = browser.post("/sign-out", {"csrf": proof})
    assert (answer.status_code, "out of date" in answer.text) == (403, True)
    assert browser.send("POST", "/sign-out", headers=FORM).status_code == 403
    assert is_signed_in(browser)


def test_the_proof_of_another_session_is_worth_nothing(
    program: ConsoleProgram, browser: Browser
) -> None:
    """Also of somebody who may use the console."""
    with program.browser(VIEW) as other:
        stolen = other.csrf
    assert browser.post("/sign-out", {"csrf": stolen}).status_code == 403
    assert is_signed_in(browser)


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://["},
        {"Sec-Fetch-Site": "cross-site", "Origin": "http://127.0.0.1"},
    ],
)
def test_a_form_of_another_site_is_refused(browser: Browser, headers: dict[str, str]) -> None:
    """Even with the proof; the sign-in, too, or somebody would work under another name."""
    assert browser.post("/sign-out", headers=headers).status_code == 403
    assert browser.post("/sign-in", {"token": VIEW}, headers=headers).status_code == 403
    assert is_signed_in(browser)


def test_a_form_of_our_own_page_is_taken(program: ConsoleProgram, browser: Browser) -> None:
    """As browsers mark it."""
    answer = browser.post("/sign-out", headers={"Origin": program.url})
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in")


def test_the_form_to_sign_in_has_a_proof_of_its_own(program: ConsoleProgram) -> None:
    """Another site cannot sign a browser in as somebody else: it does not have the cookie."""
    with program.browser() as attacker, program.browser() as victim:
        attacker.get("/sign-in")
        victim.csrf = attacker.csrf
        assert victim.post("/sign-in", {"token": VIEW}).status_code == 403
        assert victim.get("/").status_code == 303


@pytest.mark.parametrize("cookie", ["", "x", "a" * 43, "ä", '"', "ann", "x" * 4_000, "a;b=c"])
def test_a_forged_cookie_is_no_session(program: ConsoleProgram, cookie: str) -> None:
    """Only what the console gave in this very process is one."""
    with program.browser() as browser:
        forged = [(b"Cookie", f"refunds_console={cookie}".encode())]
        answer = browser.client.get("/", headers=forged)
        assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in?next=/")


@pytest.mark.parametrize(
    ("header", "body"),
    [
        (f"Content-Length: {MOST_FORM_BYTES + 1}", b""),
        ("Transfer-Encoding: chunked", b"%x\r\n%s" % (len(TOO_MUCH), TOO_MUCH)),
    ],
)
def test_a_form_has_a_limited_size(browser: Browser, header: str, body: bytes) -> None:
    """What is announced too large is not read; what turns out too large is cut off."""
    lines = [
        "POST /sign-out HTTP/1.1",
        "Host: x",
        f"Cookie: refunds_console={browser.cookies['refunds_console']}",
        f"Content-Type: {FORM['Content-Type']}",
        header,
    ]
    answer = exchange(browser, "\r\n".join(lines).encode() + b"\r\n\r\n" + body)
    assert answer.startswith("HTTP/1.1 413 ")
    assert "\r\nconnection: close\r\n" in answer
    assert is_signed_in(browser)


def test_a_form_has_a_limited_number_of_fields(browser: Browser) -> None:
    """A page has a hundred rows."""
    many = "&".join(f"f{n}=" for n in range(1_200))
    assert browser.send("POST", "/sign-out", content=many, headers=FORM).status_code == 400
    assert is_signed_in(browser)


@pytest.mark.parametrize(
    ("media_type", "content", "status"),
    [
        ("application/json", b"{}", 415),
        ("multipart/form-data; boundary=x", b"--x--", 415),
        ("text/plain", b"csrf=x", 415),
        ("application/x-www-form-urlencoded", b"csrf=%ff%fe", 400),
        ("application/x-www-form-urlencoded", b"\xff\xfe", 403),
    ],
)
def test_only_a_form_is_read(
    browser: Browser, media_type: str, content: bytes, status: int
) -> None:
    """In the encoding of our pages."""
    headers = {"Content-Type": media_type}
    answer = browser.send("POST", "/sign-out", content=content, headers=headers)
    assert answer.status_code == status


@pytest.mark.parametrize(
    "path",
    [
        "/static/../application.py",
        "/static/..%2fapplication.py",
        "/static/%2e%2e/%2e%2e/app.py",
        "/static//etc/passwd",
        "/static/%00",
        "/static/console.css%00.html",
        "/static/",
        "/static",
        "//",
        "//evil.example/",
        "//evil.example/..",
        "/%2f%2fevil.example",
        "/sign-in/",
        "/.env",
    ],
)
def test_no_path_leads_elsewhere(program: ConsoleProgram, path: str) -> None:
    """The files are named one by one; an unknown address is unknown, and sends nobody elsewhere."""
    with program.browser() as browser:
        request = f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        answer = exchange(browser, request.encode())
    assert answer.startswith("HTTP/1.1 404 ")
    assert "location:" not in answer.lower()
    assert "def " not in answer
    assert "evil" not in answer


def test_nothing_of_a_request_becomes_a_header(browser: Browser) -> None:
    """A line end in the query stays what it is, encoded."""
    browser.post("/sign-out")
    answer = browser.get("/?a=%0d%0aSet-Cookie:%20x=y")
    assert answer.status_code == 303
    assert answer.headers.get_list("set-cookie") == []
    assert answer.headers["location"] == "/sign-in?next=/%3Fa%3D%250d%250aSet-Cookie%3A%2520x%3Dy"


def test_every_answer_has_the_headers_that_protect_it(
    program: ConsoleProgram, browser: Browser
) -> None:
    """Pages, files, refusals and redirects; scripts and styles only come from files of ours."""
    with program.browser() as stranger:
        answers = [
            *(browser.get(path) for path in ("/", "/sign-in", "/nothing", "/static/console.js")),
            stranger.get("/"),
            stranger.send("PUT", "/"),
            stranger.send("POST", "/sign-out", headers=FORM),
        ]
    for answer in answers:
        for name, value in HEADERS:
            assert answer.headers[name] == value
        assert not re.search(r"<script(?! src=)|<style|style=|\son\w+=|javascript:", answer.text)
        assert not re.search(r"(?:src|href|action)=\"(?!/|#)", answer.text)
    policy = answers[0].headers["content-security-policy"]
    assert "unsafe" not in policy
    assert "*" not in policy


def test_no_secret_reaches_the_log(redis_url: str) -> None:
    """Not a token, a cookie or a proof, wherever they are put."""
    with console_program(
        redis_url, f"t{uuid.uuid4().hex[:12]}", REFUNDS_LOG_LEVEL="debug"
    ) as running:
        with running.browser(ACT) as browser:
            secrets = [ACT, browser.csrf, *(value for value in browser.cookies.values() if value)]
            browser.get(f"/{ACT}?x={KEY}")
            browser.get("/", headers={"X-User": KEY})
            browser.post(f"/sign-in?{ACT}", {"token": KEY, "next": f"/{ACT}"})
            browser.send("POST", "/sign-out", content=f"{ACT}={KEY}", headers=FORM)
            browser.send("X" + "".join(filter(str.isalpha, ACT)).upper(), "/")
        running.process.send_signal(signal.SIGTERM)
        running.process.wait(60)
        text = running.log.read_text()
    assert text.count('"console.request"') == 8
    assert len(secrets) == 3
    for secret in (*secrets, KEY, redis_url, "CANARYOFAN"):
        assert secret not in text


def test_while_redis_is_away_a_page_says_so() -> None:
    """With 503, and without a stack trace."""
    with embedded_server() as url:
        running_on = console_program(url, f"t{uuid.uuid4().hex[:12]}")
        running = running_on.__enter__()
        browser = running.browser(ACT)
    with browser:
        answer = browser.get("/")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert "Traceback" not in answer.text
        answer = browser.post("/store/act", {"act": "pause_all", "why": "x"})
        assert (answer.status_code, "not known whether this was done" in answer.text) == (503, True)
    running_on.__exit__(None, None, None)
