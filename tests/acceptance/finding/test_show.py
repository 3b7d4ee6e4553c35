"""`refunds show`: money first, why it waits, the timeline; and Tab."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.commands import refunds, settings_of
from tests.support.rig import AFTER, KEY, STORE_ID, Rig
from worker.cli.completion import dead_ids, refund_ids, store_ids
from worker.observability.printable import printable
from worker.operations.durations import amount_text, size, span
from worker.operations.timeline import timeline
from worker.simulator import Fault

ESCAPES = "\x1b[2J\x1b]0;x\x07\x9b2J\u202e"


def _json(rig: Rig, *arguments: str) -> Any:
    done = refunds(rig, *arguments, "--json")
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return json.loads(done.stdout)


def test_a_finished_refund_shows_its_money_first(rig: Rig) -> None:
    """Then what it did, step by step, with Wix's request ids; and no JSON."""
    refund = rig.run(rig.order(AFTER), requested_by="shop")
    done = refunds(rig, "show", refund.refund_id)
    lines = done.stdout.split("\n")
    assert lines[1].split() == ["amount", "101.40", "USD"]
    assert "refundable -> refund_submitted" in done.stdout
    assert "requested by: shop" in done.stdout
    assert "{" not in done.stdout
    told = _json(rig, "show", refund.refund_id)
    assert told["money"]["refunded"] == "101.40 USD"
    assert told["money"]["payments"][0]["status"] == "SUCCEEDED"
    assert told["money"]["left_to_refund"] is None  # it was known before our refund: no longer true
    assert told["waits"]["for"] == ""
    assert all(line["wix_request_id"] for line in told["timeline"][1:])
    assert told["timeline"][1]["after_ms"] >= 0


def test_a_refund_that_waits_says_why_and_until_when(rig: Rig) -> None:
    """The next try, the turn in the lane, the store's suspension, a worker, a person."""
    rig.simulator.script(Fault("status", "get_order", status=503))
    rig.request(rig.order(AFTER), "rf-1")
    rig.run_queued()
    waits = _json(rig, "show", "rf-1")["waits"]
    assert "get_order HTTP 503" in waits["for"]
    assert 0 <= waits["next_in_ms"] <= 1_000
    assert "`refunds retry rf-1` for now" in refunds(rig, "show", "rf-1").stdout
    for n in range(rig.settings.lane_width + 2):
        rig.request(rig.order(AFTER), f"rf-lane-{n}")
    rig._one("refunds")
    waits = _json(rig, "show", f"rf-lane-{rig.settings.lane_width + 1}")["waits"]
    assert (waits["place"], waits["before"]) == ("lane", 1)
    assert "number 2 in the lane" in waits["for"]
    assert _json(rig, "show", "rf-lane-0")["waits"]["for"] == "a free thread"
    why = {"epoch": "0", "since_ms": "1", "reason": json.dumps({"reason": "key_refused"})}
    rig.redis.hset(rig.key("suspended", STORE_ID), mapping=why)
    told = _json(rig, "show", "rf-1")
    assert told["waits"]["for"] == "its store, which is suspended (key_refused)"
    assert told["store"]["state"] == "suspended"
    assert "suspended since 1970-01-01" in refunds(rig, "show", "rf-1").stdout


def test_a_wait_that_protects_money_is_not_to_be_shortened(rig: Rig) -> None:
    """After a restart of Redis `refunds retry` would only look again, so it is not recommended."""
    rig.run(rig.order(AFTER))
    rig.request(rig.order(AFTER), "rf-1")
    rig._one("refunds")
    rig._one("steps")
    rig.redis.hset(rig.key("clock"), "run_id", "another")
    rig.run_queued()
    waits = _json(rig, "show", "rf-1")["waits"]
    assert (waits["is_fixed"], waits["for"]) == (
        True,
        "an earlier refund call may still take effect",
    )
    text = refunds(rig, "show", "rf-1").stdout
    assert "nothing shortens this wait" in text
    assert "refunds retry" not in text


def test_what_people_stopped_is_named(rig: Rig) -> None:
    """Who stopped the refund or paused its store, and why; the status counts both."""
    rig.request(rig.order(AFTER), "rf-1")
    rig._one("refunds")
    by_ann = ("--by", "ann", "--reason", "asks the merchant")
    assert refunds(rig, "hold", "rf-1", *by_ann).returncode == 0
    assert _json(rig, "show", "rf-1")["waits"]["for"] == (
        "a person: ann (asks the merchant) stopped it"
    )
    assert refunds(rig, "pause", "--all", *by_ann).returncode == 0
    told = json.loads(refunds(rig, "status", "--json").stdout)
    assert told["refunds"]["on_hold"] == 1
    assert told["stores"]["paused"][0]["store_id"] == "*"
    assert "all stores paused by ann: asks the merchant" in refunds(rig, "status").stdout
    assert refunds(rig, "release", "rf-1", *by_ann).returncode == 0
    waits = _json(rig, "show", "rf-1")["waits"]["for"]
    assert waits == "its store, which ann (asks the merchant) paused"


def test_a_refund_at_the_provider_says_so(rig: Rig) -> None:
    """With what its last look found."""
    rig.simulator.set_flags(provider_ms=3_600_000)
    rig.request(rig.order(AFTER), "rf-1")
    rig.run_queued()
    told = _json(rig, "show", "rf-1")
    assert told["state"] == "refund_submitted"
    assert told["waits"]["for"].startswith("the payment provider: ")
    assert told["timeline"][-1]["waits_ms"] > 0


def test_a_queued_job_is_shown(rig: Rig) -> None:
    """Since when, and how many are before it."""
    rig.request(rig.order(AFTER), "rf-0")
    order = rig.order(AFTER)
    rig.request(order, "rf-1", amount="1.00", currency="USD")
    told = _json(rig, "show", "rf-1")
    assert (told["state"], told["before"], told["amount"]) == ("queued", 1, "1.00")
    assert _json(rig, "show", "--order", order.id)["refund_id"] == "rf-1"
    text = refunds(rig, "show", "rf-1").stdout
    assert text.startswith("rf-1 is in the queue since ")
    assert ", 1 before it.\n" in text


@pytest.mark.parametrize("sent_at", [10**30, -(10**20), 1e300, 10**15])
def test_a_queued_job_is_shown_whatever_its_sender_calls_the_time(rig: Rig, sent_at: float) -> None:
    """A clock may be wrong, or a program hostile."""
    order = rig.order(AFTER)
    job = {"refund_id": "rf-1", "store_id": STORE_ID, "order_id": order.id}
    message = {"kwargs": job, "message_timestamp": sent_at}
    rig.send_raw(json.dumps(message))
    for by in (("rf-1",), ("--order", order.id)):
        assert refunds(rig, "show", *by).stdout.startswith("rf-1 is in the queue since ")


def test_an_order_stands_for_its_only_refund(rig: Rig) -> None:
    """If it has several, they are named."""
    order = rig.order(AFTER)
    rig.request(order, "rf-1", amount="1.00", currency="USD")
    rig.run_until_idle()
    assert _json(rig, "show", "--order", order.id.upper())["refund_id"] == "rf-1"
    rig.request(order, "rf-2", amount="1.00", currency="USD")
    done = refunds(rig, "show", "--order", order.id)
    assert done.returncode == 1
    assert "rf-1, rf-2" in done.stderr
    assert refunds(rig, "show").returncode == 2
    unknown = rig.order(AFTER).id
    done = refunds(rig, "show", "--order", unknown)
    assert done.returncode == 1
    assert f"there is no refund of order {unknown}, " in done.stderr


def test_the_number_of_an_order_is_not_its_id(rig: Rig) -> None:
    """Nobody is told that there is no refund: the text says where the order's id is."""
    done = refunds(rig, "show", "--order", "10004")
    assert (done.returncode, done.stdout) == (2, "")
    assert "--order takes an order ID" in done.stderr
    assert "after /order-details/" in done.stderr


def test_an_unknown_refund_has_exit_code_1(rig: Rig) -> None:
    """The answer is no."""
    assert refunds(rig, "show", "nobody").returncode == 1


def test_a_dead_letter_shows_the_same(rig: Rig) -> None:
    """Its remedy as well."""
    rig.simulator.script(Fault("status", "submit_refund", status=418, code="TEAPOT", times=9))
    refund = rig.run(rig.order(AFTER))
    text = refunds(rig, "dead", "show", refund.refund_id).stdout
    assert "101.40 USD" in text
    assert "fix the cause, then replay" in text
    assert "dead (died in refundable)" in text
    assert "TEAPOT" in text


def test_hostile_history_is_harmless(rig: Rig) -> None:
    """Whatever a line holds is shown as words, without what a terminal obeys."""
    refund = rig.run(rig.order(AFTER))
    odd = {
        "at_ms": 1,
        "event": ESCAPES,
        "problems": {ESCAPES: [ESCAPES, {"x": KEY}]},
        "why": ESCAPES,
        "in_ms": 5,
        "long": "x" * 5_000,
    }
    rig.redis.rpush(rig.key("history", refund.refund_id), json.dumps(odd))
    for more in ((), ("--json",)):
        done = refunds(rig, "show", refund.refund_id, *more)
        assert done.returncode == 0
        assert "canary" not in done.stdout
        assert all(printable(line) == line for line in done.stdout.split("\n"))
    assert "x" * 400 not in refunds(rig, "show", refund.refund_id).stdout


def test_tab_completes_ids_and_is_silent_without_redis(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At most some dozens of the newest; a shell gets no error."""
    for name, value in settings_of(rig).items():
        monkeypatch.setenv(name, value)
    rig.redis.zadd(rig.key("accepted"), {f"rf-{n:03}": n for n in range(200)})
    rig.redis.zadd(rig.key("dead"), {"rf-7": 1, "other": 2})
    assert refund_ids("rf-19")[:2] == ["rf-199", "rf-198"]
    assert len(refund_ids("rf-")) == 50
    assert dead_ids("rf") == ["rf-7"]
    rig.redis.zadd(rig.key("stores"), {"4b29": 1, "0f5b": 2})
    assert store_ids("4") == ["4b29"]
    monkeypatch.setenv("REFUNDS_REDIS_URL", "redis://127.0.0.1:1/0")
    assert refund_ids("rf") == []
    monkeypatch.setenv("REFUNDS_REDIS_URL", "nonsense")
    assert refund_ids("rf") == []


def test_durations_and_amounts_are_easy_to_read() -> None:
    """In their two largest units, and with commas."""
    spans = {
        350: "0.35 s",
        9_000: "9 s",
        61_000: "1 min 1 s",
        3_600_000: "1 h",
        90_061_000: "1 d 1 h",
    }
    assert {ms: span(ms) for ms in spans} == spans
    assert (span(-5), span(30_000)) == ("0 s", "30 s")
    assert amount_text("1234567.80") == "1,234,567.80"
    assert amount_text("many") == "many"
    assert (size(12), size(1_500), size(2_000_000_000)) == ("12 bytes", "1.5 kB", "2.0 GB")
    assert timeline([]) == []
