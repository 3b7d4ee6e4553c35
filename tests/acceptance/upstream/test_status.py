"""What a producer can ask about one refund: from the moment that its job is on the queue."""

from __future__ import annotations

import json
import threading

import pytest

from statemachine.flows import TERMINAL, State
from tests.support.commands import refunds
from tests.support.rig import AFTER, STORE_ID, Rig
from worker.client import RefundQueue
from worker.refund.tombstone import LETTERS
from worker.upstream.many import checked_message
from worker.upstream.status import FINAL, FORGOTTEN


def _job(rig: Rig, refund_id: str = "rf-1") -> dict[str, str]:
    return {"refund_id": refund_id, "store_id": STORE_ID, "order_id": rig.order(AFTER).id}


def test_a_refund_is_known_from_the_moment_that_its_job_is_sent(
    rig: Rig, queue: RefundQueue
) -> None:
    """Unknown, queued, and then the state of its record."""
    assert queue.status("rf-1").state == "unknown"
    queue.request(**_job(rig))
    assert queue.status("rf-1") == ("rf-1", "queued", None, None, None)
    rig.run_until_idle()
    found = queue.status("rf-1")
    assert (found.state, found.is_final, found.reason) == ("refunded", True, None)
    refund = rig.load("rf-1")
    assert (found.accepted_at_ms, found.updated_at_ms) == (
        refund.accepted_at_ms,
        refund.updated_at_ms,
    )


def test_a_rejected_refund_has_its_reason(rig: Rig, queue: RefundQueue) -> None:
    """The code of the table of reasons."""
    queue.request(**_job(rig), amount="12.345", currency="USD")
    rig.run_until_idle()
    assert queue.wait("rf-1", 0)[:3] == ("rf-1", "rejected", "amount_precision")


def test_a_wait_ends_when_a_person_is_needed(rig: Rig, queue: RefundQueue) -> None:
    """Nothing else happens by itself."""
    queue.request(**_job(rig))
    rig.run_queued()
    rig.redis.hset(rig.key("refund", "rf-1"), "state", State.DEAD)
    found = queue.wait("rf-1", 0)
    assert (found.needs_person, found.is_final) == (True, False)


def test_a_wait_that_takes_too_long_says_in_which_state(queue: RefundQueue) -> None:
    """A job that Redis has forgotten is sent again."""
    with pytest.raises(TimeoutError, match="rf-1 is unknown after 0 s"):
        queue.wait("rf-1", 0)


def test_a_wait_ends_soon_after_the_refund(rig: Rig, queue: RefundQueue) -> None:
    """While it looks, another thread finishes the refund."""
    queue.request(**_job(rig))
    worker = threading.Thread(target=rig.run_until_idle)
    worker.start()
    assert queue.wait("rf-1", 60).state == State.REFUNDED
    worker.join()


def test_the_final_states_are_those_of_the_state_machine() -> None:
    """The wheel cannot import them."""
    assert {state.value for state in TERMINAL} == FINAL


def test_a_forgotten_refund_still_has_its_state(rig: Rig, queue: RefundQueue) -> None:
    """Of a refund in the archive the ledger keeps how it ended."""
    rig.redis.hset(rig.key("refund", "rf-1"), mapping={"digest": "d", "t": "r65a0000012.50EUR|"})
    assert queue.status("rf-1") == ("rf-1", "refunded", None, None, None)
    assert {letter: state.value for state, letter in LETTERS.items()} == FORGOTTEN


def test_show_finds_a_queued_job_by_its_id(rig: Rig, queue: RefundQueue) -> None:
    """Also one in the middle of a long queue, and one that a worker has just fetched."""
    queue.request_many(_job(rig, f"rf-{number}") for number in range(5))
    done = refunds(rig, "show", "rf-3", "--json")
    assert (json.loads(done.stdout)["state"], json.loads(done.stdout)["before"]) == ("queued", 3)
    place = rig.redis.lpop(rig.key("refunds"))
    assert place == "rf-0/job"
    done = refunds(rig, "show", "rf-0", "--json")
    assert (json.loads(done.stdout)["state"], json.loads(done.stdout)["before"]) == ("queued", 0)


def test_a_queued_job_with_the_number_of_its_order_is_shown(rig: Rig, queue: RefundQueue) -> None:
    """Nothing stands for the id yet."""
    queue.request(refund_id="rf-1", store_id=STORE_ID, order_number="10124")
    shown = json.loads(refunds(rig, "show", "rf-1", "--json").stdout)
    assert (shown["order_number"], shown.get("order_id")) == ("10124", None)


def test_a_second_job_of_a_refund_has_a_message_of_its_own(rig: Rig, queue: RefundQueue) -> None:
    """The first one stays as it is: if they differ, each is told."""
    job = _job(rig)
    queue.request(**job, reason="first")
    queue.request(**job, reason="second")
    queue.request(**job, reason="third")
    assert rig.redis.hlen(rig.key("refunds.msgs")) == rig.redis.llen(rig.key("refunds")) == 3
    assert '"reason":"first"' in rig.redis.hget(rig.key("refunds.msgs"), "rf-1/job")
    rig.run_until_idle()
    assert rig.load("rf-1").request.reason == "first"
    assert [each["reason"] for each in rig.broker.quarantined().values()] == ["conflict"] * 2


def test_two_letters_of_one_place_are_both_kept(rig: Rig, queue: RefundQueue) -> None:
    """One after the other, two jobs of a refund had the same place in the queue."""
    job = _job(rig)
    for reason in ("first", "second", "third"):
        queue.request(**job, reason=reason)
        rig.run_queued()
    letters = rig.broker.quarantined()
    assert sorted(each["job"]["reason"] for each in letters.values()) == ["second", "third"]
    assert all(letter_id.startswith("rf-1/job/") for letter_id in letters)


def test_a_message_whose_reply_was_lost_is_not_queued_twice(rig: Rig, queue: RefundQueue) -> None:
    """redis-py sends the script again, with the same message."""
    message = checked_message(_job(rig))
    queue.send(message)
    queue.send(message)
    assert rig.redis.lrange(rig.key("refunds"), 0, -1) == ["rf-1/job"]
