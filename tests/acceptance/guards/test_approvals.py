"""`refunds approve`: who may let a held refund go on, what that covers, and who hears of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from statemachine.flows import State
from tests.support.guards import counted, guarded, held_refund
from tests.support.lost_replies import lose_reply
from tests.support.rig import AFTER, ANN, BEFORE, Rig
from worker.ledger.audit_log import Operator
from worker.operations.acts import letters
from worker.operations.acts import refunds as acts
from worker.operations.acts.approvals import approve, reject
from worker.operations.acts.refusals import CannotAct
from worker.refund.outcomes import read
from worker.simulator import Fault

BEA, CARL = Operator("bea", "checked"), Operator("Carl", "checked, too")


@pytest.fixture
def rig(redis_url: str) -> Iterator[Rig]:
    """A worker that may refund 50 USD; one person may approve 100 USD."""
    with guarded(redis_url, refund="50 USD", two_people="100 USD") as rig:
        yield rig


def _types(rig: Rig) -> list[str]:
    return [event["type"] for _, event in read(rig.redis, rig.settings.namespace)]


def _acts(rig: Rig) -> list[dict[str, Any]]:
    assert rig.ledger.audit_log.verify().problem == ""
    return [entry.fields() for entry in rig.ledger.audit_log.entries()]


def test_an_approved_refund_goes_on(rig: Rig) -> None:
    """It is counted, and the audit log says who approved what, and why."""
    refund_id = held_refund(rig, requested_by="returns")
    assert approve(rig.acts, refund_id, operator=BEA) == "approved: it goes on"
    rig.run_until_idle()
    refund = rig.load(refund_id)
    assert (refund.state, refund.hold, refund.reason) == (State.REFUNDED, {}, {})
    assert [one["by"] for one in refund.approvals] == ["bea"]
    assert counted(rig) == (1, 600_000)
    assert rig.problems() == []
    entry = _acts(rig)[-1]
    assert (entry["act"], entry["by"], entry["why"]) == ("approve", "bea", "checked")
    assert entry["after"] == {"amount": "60.00", "currency": "USD", "limits": "refund"}
    assert rig.redis.exists(rig.key("approvals"), rig.key("approval_sums")) == 0
    with pytest.raises(CannotAct, match="does not wait for an approval"):
        approve(rig.acts, refund_id, operator=CARL)


@pytest.mark.parametrize(
    ("requester", "name"),
    [
        ("returns", "returns"),
        ("Returns", " RETURNS "),
        ("refunds request, ann", "ann"),
        ("ann", "a\u200bnn\u00ad"),
        ("ann", "ann\u3164\u2800\ufe0f"),
        ("Ann Smith", "ann.smith"),
        ("Zoë", "zoe"),
        ("Ann", "\u0410\u039d\u039d"),
        ("\u202eann", "ann"),
    ],
)
def test_who_requested_a_refund_cannot_approve_it(rig: Rig, requester: str, name: str) -> None:
    """Another spelling makes nobody else, nor does `refunds request`."""
    refund_id = held_refund(rig, requested_by=requester)
    with pytest.raises(CannotAct, match="somebody else must approve it"):
        approve(rig.acts, refund_id, operator=Operator(name))
    assert rig.load(refund_id).needs_approval


def test_an_approval_has_a_name_that_the_audit_log_shows(rig: Rig) -> None:
    """E-mail addresses are masked everywhere, so two of them could not be told apart."""
    with pytest.raises(CannotAct, match="no e-mail address"):
        approve(rig.acts, held_refund(rig), operator=Operator("ann@example.com"))


def test_above_the_second_limit_two_different_people_approve(rig: Rig) -> None:
    """The first approval is kept, and the same person cannot give the second one."""
    refund_id = held_refund(rig, "")
    assert rig.load(refund_id).approval["limits"] == ["refund", "two_people"]
    told = "approved by 1 of 2 people: it still waits"
    assert approve(rig.acts, refund_id, operator=BEA) == told
    rig.run_until_idle()
    assert rig.load(refund_id).needs_approval
    for name in ("BEA", "b\u200bea"):
        with pytest.raises(CannotAct, match=f"approved by {name} already"):
            approve(rig.acts, refund_id, operator=Operator(name))
    assert approve(rig.acts, refund_id, operator=CARL) == "approved: it goes on"
    rig.run_until_idle()
    assert rig.load(refund_id).state is State.REFUNDED
    assert [entry["by"] for entry in _acts(rig)] == ["bea", "Carl"]


@pytest.mark.parametrize("amount", ["60.00", ""])
def test_a_repeated_approval_counts_once(rig: Rig, amount: str) -> None:
    """redis-py repeats a script whose reply was lost."""
    refund_id = held_refund(rig, amount)
    lose_reply(rig.acts._scripts, "approve")
    said = approve(rig.acts, refund_id, operator=BEA)
    assert said.startswith("approved by 1 of 2" if not amount else "approved: it goes on")
    assert len(rig.load(refund_id).approvals) == len(_acts(rig)) == 1


def test_a_rejected_refund_is_called_off(rig: Rig) -> None:
    """Upstream is told, nothing is counted, and a repeat of its job is a duplicate."""
    refund_id = held_refund(rig)
    assert reject(rig.acts, refund_id, operator=BEA) == "rejected: it is called off"
    job = rig.load(refund_id).request.model_dump(exclude_defaults=True)
    order = rig.simulator.orders[job["order_id"]]
    rig.request(order, **{name: job[name] for name in ("refund_id", "amount", "currency")})
    rig.run_until_idle()
    refund = rig.load(refund_id)
    assert (refund.state, order.refunds) == (State.CALLED_OFF, [])
    assert refund.resolution == {"by": "bea", "why": "checked", "approval": "rejected"}
    assert _types(rig) == ["refund.accepted", "refund.approval_needed", "refund.called_off"]
    assert _acts(rig)[-1]["act"] == "approve.reject"
    assert (counted(rig), rig.problems()) == ((0, 0), [])
    assert rig.redis.exists(rig.key("approvals"), rig.key("on_hold")) == 0


@pytest.mark.parametrize("doubt", ["intent", "server"])
def test_a_rejected_refund_that_may_have_changed_something_is_a_dead_letter(
    rig: Rig, doubt: str
) -> None:
    """A person looks at Wix; the letter can be discarded, and a replay asks for approval again."""
    first, second = held_refund(rig), held_refund(rig)
    if doubt == "intent":
        for refund_id in (first, second):
            rig.redis.hset(rig.key("refund", refund_id), "intent_at_ms", 1)
    else:
        rig.redis.hset(rig.key("clock"), "run_id", "another server")
    lose_reply(rig.acts._scripts, "refuse")
    for refund_id in (first, second):
        assert "it is a dead letter" in reject(rig.acts, refund_id, operator=BEA)
    refund = rig.load(first)
    assert (refund.state, refund.reason["reason"]) == (State.DEAD, "approval_rejected")
    assert "bea: checked" in refund.reason["detail"]
    assert _types(rig)[-2:] == ["refund.dead_lettered"] * 2
    assert rig.redis.exists(rig.key("approvals"), rig.key("on_hold")) == 0
    assert rig.problems() == []
    assert len(_acts(rig)) == 2
    letters.discard(rig.acts, second, operator=BEA)
    # The time is over in which a forgotten call could take effect.
    rig.redis.hset(rig.key("clock"), "doubt_ms", 1)
    rig.replay(first, operator="ann")
    rig.let_an_hour_pass()
    rig.run_until_idle()
    assert rig.load(first).needs_approval
    assert rig.simulator.orders[refund.request.order_id].refunds == []


def test_an_approval_covers_the_amount_that_was_seen(rig: Rig) -> None:
    """If the refund becomes larger, it waits again, and the first approval is void."""
    refund_id = held_refund(rig)
    approve(rig.acts, refund_id, operator=BEA)
    record = rig.key("refund", refund_id)
    approval = json.loads(rig.redis.hget(record, "approval"))
    rig.redis.hset(record, "approval", json.dumps(approval | {"units": 599_999}))
    rig.run_until_idle()
    refund = rig.load(refund_id)
    assert (refund.needs_approval, refund.approvals) == (True, ())
    approve(rig.acts, refund_id, operator=BEA)
    rig.run_until_idle()
    assert rig.load(refund_id).state is State.REFUNDED


def test_an_approval_of_what_has_changed_is_refused(rig: Rig) -> None:
    """A bulk act approves what was selected, not what it has become."""
    refund_id = held_refund(rig)
    version = rig.load(refund_id).version
    with pytest.raises(CannotAct, match="changed in the meantime"):
        approve(rig.acts, refund_id, operator=BEA, version=version - 1)
    acts.release(rig.acts, refund_id, operator=ANN)
    rig.run_until_idle()
    with pytest.raises(CannotAct, match="changed in the meantime"):
        approve(rig.acts, refund_id, operator=BEA, version=version)


def test_a_release_only_asks_the_guard_again(rig: Rig) -> None:
    """It is no way around an approval."""
    refund_id = held_refund(rig)
    acts.release(rig.acts, refund_id, operator=ANN)
    assert not rig.load(refund_id).needs_approval
    rig.run_until_idle()
    assert rig.load(refund_id).needs_approval
    assert rig.problems() == []


def test_a_higher_limit_lets_a_released_refund_go(redis_url: str) -> None:
    """And a lower one holds a refund that had been approved by too few."""
    with guarded(redis_url, refund="50 USD") as rig:
        first, second = held_refund(rig), held_refund(rig)
        approve(rig.acts, first, operator=BEA)
        stricter = rig.settings.model_copy(update={"guard_two_people": "55 USD"})
        object.__setattr__(rig.steps, "settings", stricter)
        rig.run_until_idle()
        refund = rig.load(first)
        assert (refund.approval["people"], [a["by"] for a in refund.approvals]) == (2, ["bea"])
        assert approve(rig.acts, first, operator=CARL) == "approved: it goes on"
        looser = rig.settings.model_copy(update={"guard_refund": "500 USD"})
        object.__setattr__(rig.steps, "settings", looser)
        acts.release(rig.acts, second, operator=ANN)
        rig.run_until_idle()
        assert {rig.load(each).state for each in (first, second)} == {State.REFUNDED}


def test_an_approved_refund_passes_limits_but_counts(redis_url: str) -> None:
    """What follows sees it."""
    with guarded(redis_url, store_hour="70 USD") as rig:
        rig.run(rig.order(AFTER), amount="20.00", currency="USD")
        refund_id = held_refund(rig)
        approve(rig.acts, refund_id, operator=BEA)
        rig.run_until_idle()
        assert counted(rig) == (2, 800_000)
        assert "80.01 USD within an hour" in rig.load(held_refund(rig, "0.01")).hold["why"]


def test_a_hold_of_a_person_stays_theirs(rig: Rig) -> None:
    """A person stopped it while its step ran into the limit: an approval comes later."""
    refund_id = rig.request(rig.order(AFTER))

    def hold() -> None:
        rig.at.clear()
        acts.hold(rig.acts, refund_id, operator=ANN)

    rig.run_one_step()
    rig.at["before_intent"] = hold
    rig.run_until_idle()
    refund = rig.load(refund_id)
    assert (refund.hold["by"], refund.needs_approval) == ("ann", False)
    assert "refund.approval_needed" not in _types(rig)
    with pytest.raises(CannotAct, match="does not wait for an approval"):
        approve(rig.acts, refund_id, operator=BEA)
    acts.release(rig.acts, refund_id, operator=ANN)
    rig.run_until_idle()
    assert rig.load(refund_id).needs_approval
    assert _types(rig)[-1] == "refund.approval_needed"


def test_an_approved_dead_letter_stays_approved(rig: Rig) -> None:
    """A replay goes on with the same refund, and nobody is asked again."""
    refund_id = held_refund(rig)
    rig.simulator.script(Fault("status", "submit_refund", status=428, code="SOMETHING_NEW"))
    approve(rig.acts, refund_id, operator=BEA)
    rig.run_until_idle()
    assert rig.load(refund_id).state is State.DEAD
    rig.replay(refund_id, operator="ann")
    rig.run_until_idle()
    assert rig.load(refund_id).state is State.REFUNDED
    assert counted(rig) == (1, 600_000)


def test_other_acts_say_what_to_do(rig: Rig) -> None:
    """A retry names the approval; a cancel calls off."""
    refund_id = held_refund(rig, created=BEFORE, amount="")
    with pytest.raises(CannotAct, match="refunds approve"):
        acts.retry(rig.acts, refund_id, operator=ANN)
    acts.cancel(rig.acts, refund_id, operator=ANN)
    assert rig.load(refund_id).state is State.CALLED_OFF
    assert rig.redis.exists(rig.key("approvals"), rig.key("approval_sums")) == 0
    assert rig.problems() == []
