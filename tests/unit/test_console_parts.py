"""Parts of the console that need neither a server nor a browser."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pytest
from pydantic import SecretStr
from starlette.requests import Request

from config.access import ConsoleProxy, ConsoleUser
from worker.console.attempts import (
    MOST_ADDRESSES,
    MOST_FAILURES,
    WINDOW_S,
    Attempts,
    address_of,
)
from worker.console.door import Door
from worker.console.files import FILES
from worker.console.forms import local_address
from worker.console.plots import BAR_MIN, DAY_MIN, FRESH_S, HEIGHT, KINDS, WIDTH, Trends, plot
from worker.console.refusals import Refusal
from worker.console.rendering import FOLDER
from worker.console.users import MOST_SESSIONS, SESSION_S, Sessions, User

#: A minute in 2026, at 00:00 UTC.
MIDNIGHT = 29_454_560 - 29_454_560 % 1_440


class Clock:
    """A clock that the test sets."""

    def __init__(self) -> None:
        self.now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


def minutes(**counts: Mapping[int, int]) -> list[dict[str, int]]:
    """Return a day of minutes with these counts, by name and place."""
    names = {name for kind in KINDS.values() for name in kind.counts}
    return [
        {"minute": MIDNIGHT + at, **{name: counts.get(name, {}).get(at, 0) for name in names}}
        for at in range(DAY_MIN)
    ]


def test_a_bar_adds_up_ten_minutes() -> None:
    """The highest one has the height of the plot; its text says when and how many."""
    made = plot("throughput", minutes(finished={0: 3, 9: 1, 10: 1}, rejected={9: 4}))
    assert (made.total, made.most) == (9, 8)
    first, second = made.bars
    assert (first.label, first.height, first.y) == ("00:00: 8", HEIGHT, 0)
    assert (second.label, second.height, second.x) == ("00:10: 1", HEIGHT / 8, WIDTH / 144)
    assert [text for _, text in made.ticks] == [f"{hour:02}:00" for hour in range(0, 24, 4)]


def test_a_plot_without_counts_is_empty() -> None:
    """And nothing is divided by zero."""
    made = plot("dead", minutes())
    assert (made.total, made.most, list(made.bars)) == (0, 0, [])
    assert BAR_MIN * len(plot("dead", minutes(dead=dict.fromkeys(range(DAY_MIN), 1))).bars) == 1_440


def test_whoever_looks_shares_the_plots() -> None:
    """A day of counts is read at most twice a minute."""
    clock, reads = Clock(), []

    def read_status(wanted: int) -> dict[str, Any]:
        reads.append(wanted)
        return {"wix": {"minutes": minutes()}}

    trends = Trends(read_status, clock)
    assert trends.plots() is trends.plots()
    assert reads == [DAY_MIN]
    clock.now_s += FRESH_S + 1
    trends.plots()
    assert len(reads) == 2


def test_an_address_that_failed_too_often_waits_for_a_minute() -> None:
    """Others do not; the memory is limited."""
    clock = Clock()
    attempts = Attempts(clock)
    for _ in range(MOST_FAILURES):
        assert attempts.wait_s("192.0.2.1") == 0
        attempts.note_failure("192.0.2.1")
    assert attempts.wait_s("192.0.2.1") == WINDOW_S
    assert attempts.wait_s("192.0.2.2") == 0
    clock.now_s += WINDOW_S
    assert attempts.wait_s("192.0.2.1") == 0
    for number in range(MOST_ADDRESSES + 10):
        attempts.note_failure(f"host {number}")
    assert len(attempts._failed) == MOST_ADDRESSES


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("192.0.2.1", "", "192.0.2.1"),
        ("::ffff:192.0.2.1", "", "192.0.2.1"),
        ("2001:db8::1", "", "2001:db8::/64"),
        ("10.0.0.1", "192.0.2.9, ::ffff:192.0.2.1", "192.0.2.1"),
        ("10.0.0.1", "192.0.2.9, 2001:db8::1", "2001:db8::/64"),
        ("10.0.0.1", "192.0.2.9, x", "10.0.0.1"),
    ],
)
def test_each_machine_has_an_address_of_its_own(peer: str, forwarded: str, address: str) -> None:
    """Or one that fails would lock out others: IPv4 written as IPv6 is still IPv4."""
    headers = [(b"x-forwarded-for", forwarded.encode())] if forwarded else []
    request = Request({"type": "http", "client": (peer, 1), "headers": headers})
    assert address_of(request, behind_proxy=bool(forwarded)) == address


def test_a_session_ends_after_a_working_day() -> None:
    """Whatever its user does; nobody has many of them."""
    clock = Clock()
    sessions, ann = Sessions(clock), User("ann", "act")
    cookies = [sessions.open(ann) for _ in range(MOST_SESSIONS + 1)]
    assert sessions.find(cookies[0]) is None
    found = sessions.find(cookies[-1])
    assert found is not None
    assert found.user is ann
    clock.now_s += SESSION_S
    assert sessions.find(cookies[-1]) is None
    by_proxy = sessions.of_name(ann)
    assert sessions.of_name(ann) is by_proxy
    clock.now_s += SESSION_S
    assert sessions.of_name(ann) is not by_proxy


@pytest.mark.parametrize(
    ("login", "name"),
    [
        ("jürg@example.com".encode(), "ann"),
        (b"bo", "bo"),
        ("jürg@example.com".encode("latin-1"), ""),
    ],
)
def test_a_proxy_names_people_in_utf_8(login: bytes, name: str) -> None:
    """Whatever letters their names have; what cannot be read names nobody."""
    secret = "x" * 32
    users = {
        "ann": ConsoleUser(role="act", login="jürg@example.com"),
        "bo": ConsoleUser(role="view"),
    }
    proxy = ConsoleProxy(header="X-User", secret=SecretStr(secret))
    door = Door(users, proxy, is_secure=True, behind_proxy=True)
    headers = [(b"x-refunds-proxy-secret", secret.encode()), (b"x-user", login)]
    request = Request({"type": "http", "headers": headers})
    if not name:
        with pytest.raises(Refusal):
            door.session_of(request)
        return
    session = door.session_of(request)
    assert session is not None
    assert session.user.name == name


@pytest.mark.parametrize(
    ("role", "may"),
    [
        ("view", [True, False, False]),
        ("act", [True, True, False]),
        ("approve", [True, True, True]),
    ],
)
def test_each_role_may_what_those_before_it_may(role: Any, may: list[bool]) -> None:
    """From the least to the most."""
    user = User("ann", role)
    assert [user.may("view"), user.may("act"), user.may("approve")] == may


def test_an_address_of_ours_is_kept() -> None:
    """With parameters; anything else becomes the first page."""
    for address in ("/", "/refund?id=rf-1", "/dead?by=store&text=a%20b"):
        assert local_address(address) == address
    for address in ("//x", "/\\x", "x", "http://x/", "/x\n", "/<x>", "/x;y"):
        assert local_address(address) == "/"


def test_a_form_that_takes_a_reason_is_sent_by_its_buttons_only() -> None:
    """Enter in the field would press the first one, whatever the person has in mind."""
    texts = [path.read_text() for path in FOLDER.glob("*.html")]
    forms = [form for text in texts for form in re.findall(r"<form.*?</form>", text, re.DOTALL)]
    with_reason = [form for form in forms if "m.why(" in form]
    assert len(with_reason) == 6
    for form in with_reason:
        before, guard, _ = form.partition("{{ m.no_act_by_enter() }}")
        assert (guard != "", "<button" in before) == (True, False), form


def test_the_script_is_small_and_asks_nobody_else() -> None:
    """At most 100 lines, our own; no address of another site in it or in the style sheet."""
    script, style = (FILES[name][0].decode() for name in ("console.js", "console.css"))
    assert len(script.splitlines()) <= 100
    for text in (script, style):
        assert "://" not in text
        assert "@import" not in text
    assert "innerHTML =" not in script
    assert "eval" not in script
