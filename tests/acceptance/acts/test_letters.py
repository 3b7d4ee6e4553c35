"""Dead letters that are not replayed: resolved, discarded or corrected."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from statemachine.flows import State
from tests.support.commands import refunds, settings_of
from tests.support.letters import desk_of
from tests.support.lost_replies import lose_reply
from tests.support.rig import AFTER, ANN, KEY, Rig
from worker.operations.acts import letters
from worker.operations.acts.letters import Paid
from worker.operations.acts.refusals import CannotAct
from worker.refund.outcomes import read
from worker.simulator import Fault

PAID = Paid(Decimal("39.98"), "USD")


def _dead(rig: Rig) -> str:
    rig.simulator.script(Fault("status", "submit_refund", status=400, code="X"))
    refund = rig.run(rig.order(AFTER))
    assert refund.state is State.DEAD
    return refund.refund_id


def _last_event(rig: Rig) -> dict[str, Any]:
    *_, (_, event) = read(rig.redis, rig.settings.namespace)
    return event


def test_a_letter_that_a_person_settled_is_resolved(rig: Rig) -> None:
    """Who, why, how much, and what Wix shows: in the record, and told upstream."""
    refund_id = _dead(rig)
    letters.resolve(rig.acts, refund_id, operator=ANN, paid=PAID, desk=desk_of(rig))
    refund = rig.load(refund_id)
    assert refund.state is State.RESOLVED
    shown = {"checked": True, "order_status": "APPROVED", "refunded": "0", "our_refunds": []}
    resolution = {
        "by": "ann",
        "why": "a test",
        "paid": {"amount": "39.98", "currency": "USD"},
        "wix": shown,
    }
    assert refund.resolution == resolution
    event = _last_event(rig)
    assert event["type"] == "refund.resolved"
    assert event["data"]["resolution"] == resolution
    assert event["data"]["reason"]["reason"] == "refused_by_wix"
    assert event["data"]["may_have_moved_money"] is False
    assert rig.ledger.history(refund_id)[-1]["event"] == "refund.resolved"
    [entry] = [each.fields() for each in rig.ledger.audit_log.entries()]
    assert (entry["act"], entry["after"]["state"]) == ("dead.resolve", "resolved")
    assert rig.redis.zcard(rig.key("dead")) == 0
    assert rig.problems() == []
    with pytest.raises(CannotAct, match="its state is resolved"):
        letters.resolve(rig.acts, refund_id, operator=ANN, paid=PAID, desk=desk_of(rig))


def test_what_wix_cannot_be_asked_is_recorded_as_not_checked(rig: Rig) -> None:
    """A person may settle a refund of a store whose key is gone."""
    refund_id = _dead(rig)
    rig.simulator.script(Fault("status", "get_order", status=503))
    text = letters.resolve(rig.acts, refund_id, operator=ANN, paid=PAID, desk=desk_of(rig))
    assert text.startswith("Wix could not be asked: get_order HTTP 503")
    assert rig.load(refund_id).resolution["wix"]["checked"] is False


def test_our_own_refund_at_wix_is_not_settled_elsewhere(rig: Rig) -> None:
    """It must be replayed, so that upstream hears what Wix did."""
    rig.simulator.script(Fault("drop_after", "submit_refund"))
    refund_id = rig.request(rig.order(AFTER))
    rig.run_queued()
    rig.let_an_hour_pass()
    rig.simulator.script(Fault("status", "list_transactions", status=400, code="X"))
    rig.run_until_idle()
    assert rig.load(refund_id).state is State.DEAD
    rig.redis.hset(rig.key("refund", refund_id), "intent_at_ms", 1)
    with pytest.raises(CannotAct, match="Wix shows our own refund"):
        letters.resolve(rig.acts, refund_id, operator=ANN, paid=PAID, desk=desk_of(rig))
    assert rig.load(refund_id).state is State.DEAD


@pytest.mark.parametrize("act", ["resolve", "discard"])
def test_a_letter_is_not_closed_while_a_call_may_take_effect(rig: Rig, act: str) -> None:
    """The settle delay must pass first; the event then says that money may have moved."""
    refund_id = _dead(rig)
    record = rig.key("refund", refund_id)
    seconds, _ = rig.redis.time()
    rig.redis.hset(record, "intent_at_ms", seconds * 1000)

    def close() -> None:
        if act == "resolve":
            letters.resolve(rig.acts, refund_id, operator=ANN, paid=PAID, desk=desk_of(rig))
        else:
            letters.discard(rig.acts, refund_id, operator=ANN)

    with pytest.raises(CannotAct, match="may still take effect at Wix for"):
        close()
    assert rig.load(refund_id).state is State.DEAD
    rig.redis.hset(record, "intent_at_ms", 1)
    close()
    assert _last_event(rig)["data"]["may_have_moved_money"] is True


def test_a_letter_is_discarded_with_a_reason(rig: Rig) -> None:
    """It leaves the list; upstream is told."""
    refund_id = _dead(rig)
    done = refunds(rig, "dead", "discard", refund_id, "--by", "ann", "--reason", "a mistake")
    assert (done.returncode, done.stdout) == (0, f"{refund_id}: discarded\n")
    assert rig.load(refund_id).state is State.DISCARDED
    event = _last_event(rig)
    assert event["type"] == "refund.discarded"
    assert event["data"]["resolution"] == {"by": "ann", "why": "a mistake"}
    again = refunds(rig, "dead", "discard", refund_id, "--reason", "x")
    assert (again.returncode, "its state is discarded" in again.stdout) == (1, True)
    rig.request(rig.order(AFTER), refund_id)
    rig.run_until_idle()
    assert rig.load(refund_id).state is State.DISCARDED


def test_a_message_that_never_became_a_refund_is_discarded(rig: Rig) -> None:
    """Its letter is deleted, and kept in the audit log; upstream was never told of it."""
    rig.send_raw("not a message", message_id="m-1")
    rig.run_queued()
    assert list(rig.broker.quarantined()) == ["m-1"]
    letters.discard(rig.acts, "m-1", operator=ANN)
    assert rig.broker.quarantined() == {}
    [entry] = [each.fields() for each in rig.ledger.audit_log.entries()]
    assert (entry["subject"], entry["before"]["reason"]) == ("m-1", "undecodable")
    assert list(read(rig.redis, rig.settings.namespace)) == []
    with pytest.raises(CannotAct, match="no such dead letter"):
        letters.discard(rig.acts, "m-1", operator=ANN)


def test_an_act_whose_reply_was_lost_is_done_once(rig: Rig) -> None:
    """One history line, one event, one entry."""
    refund_id = _dead(rig)
    lose_reply(rig.acts._scripts, "end_letter")
    letters.discard(rig.acts, refund_id, operator=ANN)
    lines = [line["event"] for line in rig.ledger.history(refund_id)]
    assert lines.count("refund.discarded") == 1
    assert rig.ledger.audit_log.count() == 1


def test_a_letter_is_corrected_before_its_replay(rig: Rig) -> None:
    """The order, the store and amounts stay; a repeat of the job is still a duplicate."""
    order = rig.order(AFTER)
    rig.simulator.script(Fault("status", "submit_refund", status=400, code="X"))
    refund_id = rig.request(order, restock=True)
    rig.run_until_idle()
    done = refunds(
        rig, "edit", refund_id, "--no-restock", "--notify-buyer", "--customer-reason", "late",
        "--reason", "the goods are damaged", "--by", "ann",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    job = rig.load(refund_id).request
    assert (job.restock, job.notify_buyer, job.reason) == (False, True, "late")
    [entry] = [each.fields() for each in rig.ledger.audit_log.entries()]
    assert entry["before"] == {"notify_buyer": False, "reason": "", "restock": True}
    assert entry["after"] == {"notify_buyer": True, "reason": "late", "restock": False}
    rig.request(order, refund_id, restock=True)
    rig.run_until_idle()
    assert rig.broker.quarantined() == {}
    assert refunds(rig, "dead", "replay", refund_id, "--reason", "x").returncode == 0
    rig.run_until_idle()
    assert rig.load(refund_id).state is State.REFUNDED


@pytest.mark.parametrize(
    ("options", "code", "text"),
    [
        (["--no-restock"], 1, "it is like this already"),
        ([], 2, "say what to change"),
        (["--manual-payments", "never"], 1, "cannot be edited: manual_payments"),
        (["--customer-reason", "x" * 5_000], 1, "cannot be edited: reason"),
    ],
)
def test_an_edit_that_changes_nothing_or_is_invalid_is_refused(
    rig: Rig, options: list[str], code: int, text: str
) -> None:
    """Nothing is written then."""
    refund_id = _dead(rig)
    before = rig.redis.hgetall(rig.key("refund", refund_id))
    done = refunds(rig, "edit", refund_id, *options, "--reason", "x")
    assert (done.returncode, text in done.stdout + done.stderr) == (code, True)
    assert rig.redis.hgetall(rig.key("refund", refund_id)) == before


def test_only_dead_letters_are_edited(rig: Rig) -> None:
    """A running refund may be at Wix already."""
    refund_id = rig.request(rig.order(AFTER))
    rig.run_one_step()
    done = refunds(rig, "edit", refund_id, "--restock", "--reason", "x")
    assert (done.returncode, "not a dead letter" in done.stdout) == (1, True)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ([], "say how much"),
        (["--amount", "1e3", "--currency", "USD"], "a plain decimal"),
        (["--amount", "-1", "--currency", "USD"], "a plain decimal"),
        (["--amount", "12.00"], "needs --currency"),
        (["--amount", "12.00", "--currency", "dollars"], "needs --currency"),
        (["rf-2", "--amount", "12.00", "--currency", "USD"], "one ID"),
    ],
)
def test_how_much_was_paid_must_be_said_exactly(rig: Rig, options: list[str], text: str) -> None:
    """Wrong usage; nothing is done."""
    refund_id = _dead(rig)
    done = refunds(rig, "dead", "resolve", refund_id, *options, "--reason", "x")
    assert (done.returncode, text in done.stderr) == (2, True)
    assert rig.load(refund_id).state is State.DEAD


def test_resolving_on_the_command_line_prints_what_wix_shows(rig: Rig) -> None:
    """No secret is printed; the amount may be 0."""
    refund_id = _dead(rig)
    stores = json.dumps({rig.load(refund_id).request.store_id: {"account_id": "a", "api_key": KEY}})
    given = settings_of(rig) | {
        "REFUNDS_STORES": stores,
        "REFUNDS_WIX_BASE_URL": "http://127.0.0.1:1",
    }
    done = refunds(
        rig, "dead", "resolve", refund_id, "--amount", "0", "--reason", f"{KEY}", "--json",
        environment=given,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Wix could not be asked" in json.loads(done.stdout)["resolved"][refund_id]
    kept = json.dumps(rig.redis.hgetall(rig.key("refund", refund_id)))
    assert "canary" not in done.stdout + done.stderr + kept
    assert rig.load(refund_id).resolution["paid"] == {"amount": "0", "currency": None}
