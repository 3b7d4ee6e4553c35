"""Who gets into the console: by a token, or through a proxy that signs users in."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator

import pytest

from tests.support.console import ACT, APPROVE, VIEW, ConsoleProgram, console_program, text_of
from worker.console.attempts import MOST_FAILURES, WINDOW_S

SECRET = "canary-of-the-proxy-" + "x" * 32
PROXY = {"REFUNDS_CONSOLE_PROXY": json.dumps({"header": "X-User", "secret": SECRET})}
#: What a proxy sends.
FROM_PROXY = {"X-Refunds-Proxy-Secret": SECRET, "X-User": "ann"}


def namespace() -> str:
    """Return a namespace that no other test uses."""
    return f"t{uuid.uuid4().hex[:12]}"


@pytest.fixture(scope="module")
def program(redis_url: str) -> Iterator[ConsoleProgram]:
    """A console, shared by the tests of this file."""
    with console_program(redis_url, namespace(), "--behind-proxy") as running:
        yield running


@pytest.fixture(scope="module")
def behind(redis_url: str) -> Iterator[ConsoleProgram]:
    """A console whose users a proxy signs in."""
    with console_program(redis_url, namespace(), "--behind-proxy", **PROXY) as running:
        yield running


@pytest.fixture(scope="module")
def local(redis_url: str) -> Iterator[ConsoleProgram]:
    """A console on loopback, without TLS."""
    with console_program(redis_url, namespace()) as running:
        yield running


def test_somebody_with_a_token_signs_in_and_out(local: ConsoleProgram) -> None:
    """The session ends for good when somebody signs out: a copy of its cookie is worth nothing."""
    with local.browser() as browser:
        assert browser.get("/").headers["location"] == "/sign-in?next=/"
        assert browser.sign_in(ACT).headers["location"] == "/"
        assert "ann (act)" in browser.text("/")
        copied = dict(browser.cookies)
        assert browser.post("/sign-out").headers["location"] == "/sign-in"
        assert browser.get("/").status_code == 303
        browser.cookies = copied
        assert browser.get("/").status_code == 303


def test_the_cookie_is_out_of_reach(program: ConsoleProgram) -> None:
    """Of scripts, of other sites, of other hosts, and of connections without TLS."""
    with program.browser() as browser:
        entry = browser.get("/sign-in").headers["set-cookie"]
        made = browser.post("/sign-in", {"token": ACT}).headers.get_list("set-cookie")
    for cookie in (entry, made[0]):
        assert re.match(r"__Host-refunds_console(_entry)?=[\w-]{20,};", cookie)
        parts = {part.strip().lower() for part in cookie.split(";")[1:]}
        assert {"httponly", "secure", "samesite=strict", "path=/", "max-age=28800"} == parts


def test_a_wrong_token_is_refused_and_too_many_have_to_wait(redis_url: str) -> None:
    """Also with a right token then, and only at this address."""
    with (
        console_program(redis_url, namespace(), "--behind-proxy") as running,
        running.browser(headers={"X-Forwarded-For": "10.0.0.1, 192.0.2.7"}) as browser,
        running.browser(headers={"X-Forwarded-For": "192.0.2.7, 192.0.2.8"}) as other,
    ):
        for token in ["", "x" * 5_000, *(f"rfd_wrong-{n}" for n in range(MOST_FAILURES - 2))]:
            answer = browser.sign_in(token)
            assert (answer.status_code, "not valid" in answer.text) == (403, True)
        answer = browser.sign_in(ACT)
        assert answer.status_code == 429
        assert 1 <= int(answer.headers["retry-after"]) <= WINDOW_S
        assert other.sign_in(ACT).status_code == 303
        log = running.log.read_text()
    assert log.count("console.sign_in_refused") == MOST_FAILURES
    assert '"address": "192.0.2.7"' in log
    assert "rfd_wrong" not in log


@pytest.mark.parametrize(
    "after",
    [
        "//evil.example",
        "/\\evil.example",
        "https://evil.example/",
        "/\t/evil.example",
        "/x\r\nSet-Cookie: a=b",
        "javascript:alert(1)",
        "",
        "///evil.example",
        "/" + "x" * 2_000,
    ],
)
def test_nobody_is_sent_elsewhere_after_the_sign_in(local: ConsoleProgram, after: str) -> None:
    """Only an address of the console itself is taken; anything else leads to its first page."""
    with local.browser() as browser:
        browser.get("/sign-in", params={"next": after})
        answer = browser.sign_in(ACT, after)
        assert (answer.status_code, answer.headers["location"]) == (303, "/")
        assert "a=b" not in str(answer.headers)


def test_the_page_that_was_asked_for_comes_after_the_sign_in(local: ConsoleProgram) -> None:
    """With its parameters."""
    with local.browser() as browser:
        sent = browser.get("/?a=b%26c").headers["location"]
        assert sent == "/sign-in?next=/%3Fa%3Db%2526c"
        page = browser.get(sent).text
        assert 'name="next" value="/?a=b%26c"' in page
        assert browser.sign_in(VIEW, "/?a=b%26c").headers["location"] == "/?a=b%26c"


def test_a_proxy_says_who_is_signed_in(behind: ConsoleProgram) -> None:
    """By the login of the settings; the name of the audit log stays."""
    with behind.browser(headers=FROM_PROXY) as browser:
        page = browser.text("/")
        assert "ann (act)" in page
        assert "Sign out" not in page
        assert browser.get("/sign-in").status_code == 404
    login = {"X-User": "pat@support.example"}
    with behind.browser(headers=FROM_PROXY | login) as browser:
        assert "pat (approve)" in browser.text("/")


@pytest.mark.parametrize(
    "headers",
    [
        [("X-User", "ann")],
        [("X-User", "ann"), ("X-Refunds-Proxy-Secret", "x" * 40)],
        [("X-Refunds-Proxy-Secret", SECRET)],
        [("X-User", "nobody"), ("X-Refunds-Proxy-Secret", SECRET)],
        [("X-User", "pat"), ("X-Refunds-Proxy-Secret", SECRET)],
        [("X-User", "vic"), ("X-User", "ann"), ("X-Refunds-Proxy-Secret", SECRET)],
    ],
)
def test_only_the_proxy_is_believed(behind: ConsoleProgram, headers: list[tuple[str, str]]) -> None:
    """It proves itself by a secret, names exactly one user, and that user is in the settings."""
    with behind.browser() as browser:
        answer = browser.client.get("/", headers=headers)
        assert answer.status_code == 403
        assert "Overview" not in text_of(answer)


def test_tokens_do_not_work_where_a_proxy_signs_in(behind: ConsoleProgram) -> None:
    """There is one way in, not two."""
    with behind.browser(headers=FROM_PROXY) as browser:
        assert browser.post("/sign-in", {"token": APPROVE}).status_code == 404
