"""What the pages of the console show: refunds, dead letters, stores, the audit log."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator

import pytest

from tests.support.bulk import dead_letters
from tests.support.commands import ORDER_ID
from tests.support.console import VIEW, Browser, ConsoleProgram, console_scene
from tests.support.rig import AFTER, KEY, STORE_ID, Rig
from tests.support.stores_rig import OTHER
from worker.console.pages import PAGES
from worker.ledger.audit_log import Operator

#: What somebody may call a store, or write into a job.
HOSTILE = '<script>alert("x")</script>'


@pytest.fixture(scope="module")
def scene(redis_url: str) -> Iterator[tuple[Rig, ConsoleProgram]]:
    """A worker with a console, shared by the tests of this file."""
    with console_scene(redis_url) as made:
        yield made


@pytest.fixture
def rig(scene: tuple[Rig, ConsoleProgram]) -> Rig:
    """The worker."""
    return scene[0]


@pytest.fixture
def browser(scene: tuple[Rig, ConsoleProgram]) -> Iterator[Browser]:
    """A browser of somebody who may only look."""
    with scene[1].browser(VIEW) as signed_in:
        yield signed_in


def test_the_overview_is_the_status(rig: Rig, browser: Browser) -> None:
    """With the command to type next for what needs a person, and the page that shows it."""
    dead_letters(rig, 1)
    rig.broker.beat()
    page = browser.get("/").text
    assert re.search(r'Refunds that are dead letters: \d+\. <a href="/dead">', page)
    assert "refunds dead list --by reason" in page
    assert "<dt>dead letters</dt>" in page
    assert "threads busy" in page


@pytest.mark.parametrize("what", ["refund", "order", "text"])
def test_a_refund_is_found_by_any_of_its_ids(rig: Rig, browser: Browser, what: str) -> None:
    """One field for all: its own id leads to it at once."""
    refund = rig.run(rig.order(AFTER), reason=f"torn-{uuid.uuid4().hex}")
    if what == "refund":
        found = browser.get("/refunds", params={"q": refund.refund_id})
        assert found.headers["location"] == f"/refund?id={refund.refund_id}"
        return
    words = {"order": refund.request.order_id, "text": refund.request.reason}[what]
    page = browser.text(f"/refunds?q={words}")
    assert "1 of 1 refunds" in page
    assert refund.refund_id in page


def test_refunds_are_filtered_and_paged(rig: Rig, browser: Browser) -> None:
    """With the filters of `refunds list`; the address keeps them."""
    [dead] = dead_letters(rig, 1)
    refund = rig.run(rig.order(AFTER))
    page = browser.text(f"/refunds?store={STORE_ID}&state=refunded&since=1h")
    assert refund.refund_id in page
    assert dead not in page
    assert "0 of 0 refunds" in browser.text(f"/refunds?store={OTHER}")
    assert refund.refund_id in browser.text(f"/refunds?q={STORE_ID}")


def test_a_long_list_has_pages(rig: Rig, browser: Browser) -> None:
    """A hundred rows each; the link to the next page keeps the filters."""
    ids = {rig.request(rig.order(AFTER)) for _ in range(101)}
    rig.run_until_idle()
    page = browser.get("/refunds?state=refunded&since=1h").text
    first = set(re.findall(r"/refund\?id=([\w-]+)", page))
    [following] = re.findall(r'<a href="([^"]+)">Next page', page)
    second = set(
        re.findall(r"/refund\?id=([\w-]+)", browser.get(following.replace("&amp;", "&")).text)
    )
    assert len(first) == 100
    assert first.isdisjoint(second)
    assert ids <= first | second


@pytest.mark.parametrize(
    ("address", "text"),
    [
        ("/refunds?store=x", "takes a site ID"),
        ("/refunds?transition=x", "takes one of assess_order"),
        ("/dead?since=yesterday", "takes an age"),
        ("/refunds?amount_over=-1", "takes a plain decimal"),
        (f"/refunds?refund={KEY}", "takes a refund ID"),
        ("/audit-log?since=x", "takes an age"),
    ],
)
def test_a_wrong_filter_is_explained(browser: Browser, address: str, text: str) -> None:
    """By its label; what was typed is not repeated."""
    answer = browser.get(address)
    assert (answer.status_code, text in answer.text) == (400, True)
    assert KEY not in answer.text


def test_a_refund_is_shown_with_its_money_and_its_timeline(rig: Rig, browser: Browser) -> None:
    """With attempts, Wix's request ids, and the raw record."""
    refund = rig.run(rig.order(AFTER))
    page = browser.text(f"/refund?id={refund.refund_id}")
    assert "101.40 USD · refunded" in page
    asked = [
        line["wix_request_id"]
        for line in rig.ledger.history(refund.refund_id)
        if "wix_request_id" in line
    ]
    assert len(asked) == 3
    for text in (*asked, "submit_refund (1)", "refundable -> refund_submitted", '"wix_calls": 5'):
        assert text in page
    assert 'name="act"' not in browser.get(f"/refund?id={refund.refund_id}").text


def test_what_is_not_there_is_not_found(browser: Browser) -> None:
    """An id is never a path, and never becomes part of a page that is not about it."""
    for address in (
        "/refund?id=rf-none",
        "/refund",
        "/store?id=x",
        "/job?id=../x",
        "/refund?id=%00",
    ):
        assert browser.get(address).status_code == 404


def test_a_job_in_the_queue_is_shown(rig: Rig, browser: Browser) -> None:
    """Also before a worker has accepted it."""
    refund_id = rig.request(rig.order(AFTER))
    assert "no worker has accepted it yet" in browser.text(f"/refund?id={refund_id}")
    assert "In the queue, not accepted yet" in browser.text(f"/refunds?q={refund_id}")
    rig.run_until_idle()


def test_dead_letters_are_grouped(rig: Rig, browser: Browser) -> None:
    """By reason, store, code or step; a group leads to its members, with what to do."""
    [dead] = dead_letters(rig, 1)
    page = browser.get("/dead").text
    assert "refused_by_wix" in page
    assert "/dead?reason_code=refused_by_wix&amp;by=reason" in page
    assert dead in browser.text("/dead?reason_code=refused_by_wix&by=reason")
    by_store = browser.get("/dead?by=store").text
    assert f"/dead?store={STORE_ID}&amp;by=store" in by_store
    assert dead not in browser.text("/dead?reason_code=scope_missing")
    assert 'name="id"' not in by_store  # who may only look selects nothing


def test_a_message_that_became_no_refund_is_shown(rig: Rig, browser: Browser) -> None:
    """Among the dead letters, with what it was."""
    rig.send_raw(f"no job {KEY}", f"m-{uuid.uuid4()}")
    rig.run_queued()
    page = browser.text("/dead")
    assert "(message)" in page
    [message_id] = re.findall(r"(m-[0-9a-f-]{36}) \(message\)", page)
    shown = browser.text(f"/refund?id={message_id}")
    assert "undecodable" in shown
    assert KEY not in shown


def test_stores_are_listed_and_shown(rig: Rig, browser: Browser) -> None:
    """With their state and their lane."""
    assert "not in the vault" in browser.text("/stores")
    shown = browser.text(f"/store?id={STORE_ID.upper()}")
    assert "0 wait, 0 in flight" in shown
    assert rig.stores.find(STORE_ID).state == "given"


def test_what_comes_from_outside_is_escaped(rig: Rig, browser: Browser) -> None:
    """A store that is called like an element, a reason in a job, an operator, a search."""
    rig.stores.save_checks(
        OTHER,
        {
            "name": HOSTILE,
            "checks": [{"box": HOSTILE, "about": HOSTILE, "result": HOSTILE, "text": HOSTILE}],
        },
    )
    rig.redis.hset(rig.key("store", OTHER), "sealed", "x")
    rig.redis.zadd(rig.key("stores"), {OTHER: 1})
    refund = rig.run(
        rig.order(AFTER), reason=HOSTILE, metadata={HOSTILE: HOSTILE}, requested_by=HOSTILE
    )
    rig.send_raw(HOSTILE, f"m-{HOSTILE}")
    rig.run_queued()
    pages = [
        *(page.path for page in PAGES if page.method == "GET"),
        f"/store?id={OTHER}",
        f"/refund?id={refund.refund_id}",
        f"/refund?id=m-{HOSTILE}",
        f"/refunds?q={HOSTILE}",
        f"/refunds?text={HOSTILE}&by={HOSTILE}&sort={HOSTILE}&after={HOSTILE}",
        f"/dead?by={HOSTILE}&text={HOSTILE}",
        f"/stores?page={HOSTILE}",
    ]
    seen = 0
    for address in pages:
        text = browser.get(address).text
        assert "<script>" not in text
        assert 'alert("' not in text
        seen += text.count("&lt;script&gt;")
    assert seen > 12
    rig.redis.zrem(rig.key("stores"), OTHER)


def test_characters_that_nobody_sees_are_written_out(rig: Rig, browser: Browser) -> None:
    """They could make two ids look alike, or turn a line around."""
    refund = rig.run(rig.order(AFTER), reason="a\u202eb\u200b")
    page = browser.text(f"/refund?id={refund.refund_id}")
    assert "\u202e" not in page
    assert "\\u202e" in page


def test_the_audit_log_is_shown_and_checked(rig: Rig, browser: Browser) -> None:
    """The newest first; on demand the whole chain."""
    rig.acts.record(
        Operator(HOSTILE, HOSTILE).act("test.act", ORDER_ID, {"state": "a"}, {"state": "b"})
    )
    again = browser.get("/audit-log?verify=yes", headers={"X-Refunds-Live": "1"})
    assert (again.status_code, "unbroken" in again.text) == (200, False)
    page = browser.text("/audit-log?verify=yes")
    assert "unbroken" in page
    assert "test.act" in page
    assert "state b" in page
