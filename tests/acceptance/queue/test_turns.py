"""Stores take turns where work is handed out, however many there are and however much waits."""

from __future__ import annotations

import uuid
from collections import Counter

import pytest

from statemachine.flows import State, Transition
from tests.support.rig import ANN, Rig
from worker.ledger.claims import StepCommit
from worker.operations.audit import audit
from worker.queue.broker import STEPS
from worker.queue.delivery import Delivery
from worker.refund.request import parse_request
from worker.scheduler.requeue import requeue_lost

#: Longer than any test here takes.
BLOCK_MS = 60_000


@pytest.fixture
def turns(rig: Rig) -> Rig:
    """A rig in which no worker waits for work: a refund starts only when one fetches."""
    rig.redis.delete(rig.key("idle"))
    return rig


def _store(number: int) -> str:
    return f"4b296c48-0000-4000-8000-{number:012d}"


def _accept(rig: Rig, store: int, count: int = 1) -> None:
    for _ in range(count):
        job = {
            "refund_id": f"{store}.{uuid.uuid4()}",
            "store_id": _store(store),
            "order_id": str(uuid.uuid4()),
        }
        assert rig.ledger.accept(parse_request(job), Delivery("upstream")) == "accepted"


def _fetch(rig: Rig, wanted: int = 1, known: tuple[str, ...] = ()) -> list[str]:
    """Fetch messages; return their ids, which begin with the number of their store."""
    return rig.broker.fetch(STEPS, wanted=wanted, known=list(known), block_ms=BLOCK_MS)[::2]


class Threads:
    """A worker's threads: each runs one message at a time."""

    def __init__(self, rig: Rig, count: int) -> None:
        self.rig, self.count = rig, count
        self.running: list[str] = []

    def fetch(self) -> list[str]:
        """Fetch one message for each free thread; return the numbers of their stores."""
        known = tuple(self.running)
        found = _fetch(self.rig, self.count - len(known), known)
        self.running += found
        return [message_id.split(".")[0] for message_id in found]

    def end_first(self) -> None:
        """End the refund that runs longest."""
        message_id = self.running.pop(0)
        who = Delivery(self.rig.broker.broker_id, STEPS, message_id, "e")
        refund_id = message_id.rpartition("~")[0]
        claim = self.rig.ledger.claim(refund_id, Transition.ASSESS_ORDER, who)
        assert claim.status == "claimed"
        end = StepCommit(state=State.REJECTED, next="end")
        assert self.rig.ledger.commit(refund_id, claim, end, who)

    def order(self, turns: int) -> list[str]:
        """Let refunds end one after the other; return the stores in order of their turns."""
        found: list[str] = []
        while len(found) < turns:
            found += self.fetch()
            if self.running:
                self.end_first()
        return found


@pytest.mark.parametrize("stores", [2, 5, 20])
def test_stores_take_turns_one_refund_each(turns: Rig, stores: int) -> None:
    """Whatever waits: between two turns of a store, each other store has one."""
    for store in range(stores):
        _accept(turns, store, 6)
    order = Threads(turns, 4).order(5 * stores)
    for start in range(4 * stores):
        assert set(order[start : start + stores]) == {str(store) for store in range(stores)}


@pytest.mark.parametrize("stores", [1, 5, 20])
def test_a_quiet_store_is_next_when_a_thread_is_free(turns: Rig, stores: int) -> None:
    """However many others wait, and again when it comes back in a later round."""
    for store in range(stores):
        _accept(turns, store, 12)
    threads = Threads(turns, 4)
    for _ in range(3):
        threads.order(2 * stores)
        _accept(turns, 99)
        threads.end_first()
        assert threads.fetch()[0] == "99"


def test_a_store_with_one_refund_at_a_time_is_always_next(turns: Rig) -> None:
    """It never waits for the others, however often it comes."""
    for store in range(5):
        _accept(turns, store, 30)
    threads = Threads(turns, 2)
    threads.order(6)
    threads.end_first()
    for gap in (7, 3, 6, 5, 4, 2, 5, 3):
        _accept(turns, 99)
        assert threads.fetch()[0] == "99"
        threads.end_first()
        assert "99" not in threads.order(gap)


def test_a_quiet_store_does_not_wait_for_many_that_came_with_much_work(turns: Rig) -> None:
    """None of them has had a turn yet, either, and they came first."""
    for store in range(30):
        _accept(turns, store, 12)
    _accept(turns, 99)
    assert _fetch(turns)[0].startswith("99.")


def test_a_refund_that_was_held_up_does_not_hold_up_the_next_ones(turns: Rig) -> None:
    """A store that always has a refund in flight, and one waiting at times, is a quiet one, too."""
    for store in range(30):
        _accept(turns, store, 20)
    threads = Threads(turns, 2)
    threads.order(8)
    _accept(turns, 99, 6)
    found = []
    for number in range(16):
        threads.end_first()
        found += threads.fetch()
        if number % 4 == 0:
            _accept(turns, 99)
    assert found.count("99") >= 7


def test_a_store_with_a_long_lane_does_not_go_ahead(turns: Rig) -> None:
    """Whether its refunds came one by one or at once: each turn of it is one of many."""
    for store in range(30):
        _accept(turns, store, 20)
    threads = Threads(turns, 2)
    threads.order(8)
    _accept(turns, 99, 20)
    found = []
    for _ in range(29):
        threads.end_first()
        found += threads.fetch()
        _accept(turns, 99)
    assert found.count("99") == 1


def test_stores_that_come_back_at_once_leave_every_second_turn_to_the_others(turns: Rig) -> None:
    """However many they are, one with a long lane is not starved."""
    _accept(turns, 1, 40)
    quiet = [str(store) for store in range(70, 90)]
    threads, found = Threads(turns, 1), Counter[str]()
    for store in quiet:
        _accept(turns, int(store))
    while sum(found.values()) < 80:
        for store in threads.fetch():
            found[store] += 1
            threads.end_first()
            if store in quiet:
                _accept(turns, int(store))
    assert found["1"] >= 25
    assert all(1 <= found[store] <= 4 for store in quiet)


def test_no_more_is_handed_out_than_threads_are_free(turns: Rig) -> None:
    """Waiting refunds are no list of messages; each gets a slot only when it starts."""
    _accept(turns, 1, 50)
    assert turns.redis.llen(turns.key("steps")) == 0
    assert len(_fetch(turns, 3)) == 3
    assert turns.redis.llen(turns.key("steps")) == 0
    assert turns.redis.zcard(turns.key("busy", _store(1))) == 3
    assert turns.redis.zcard(turns.key("lane", _store(1))) == 47


def test_a_store_has_no_more_in_flight_than_its_width(turns: Rig) -> None:
    """Its turn is over then; it gets one again when a refund of it has ended."""
    width = turns.settings.lane_width
    _accept(turns, 1, width + 1)
    threads = Threads(turns, 2 * width)
    assert threads.fetch() == ["1"] * width
    assert threads.fetch() == []
    threads.end_first()
    assert threads.fetch() == ["1"]


def test_a_worker_that_waits_for_work_gets_it_at_once(turns: Rig) -> None:
    """The ledger knows who found nothing; it queues a message for each such worker."""
    assert _fetch(turns) == []
    _accept(turns, 1, 3)
    assert turns.redis.llen(turns.key("steps")) == 1
    assert len(_fetch(turns, 2)) == 2
    assert turns.redis.llen(turns.key("steps")) == 0


def test_what_was_lost_on_the_way_comes_first(turns: Rig) -> None:
    """Pitfalls 2 to 4: it has a slot, and nobody else would run it."""
    _accept(turns, 1)
    [lost] = _fetch(turns)
    _accept(turns, 2)
    found = _fetch(turns, 2)
    assert found[0] == lost
    assert found[1].startswith("2.")


def _lose_the_ring(rig: Rig) -> None:
    rig.redis.delete(rig.key("ring"))


def test_a_store_that_gets_no_turn_is_named_and_put_back(turns: Rig) -> None:
    """For example because an older version of the worker lined its refunds up."""
    _accept(turns, 1, 2)
    _lose_the_ring(turns)
    found = [problem.problem for problem in audit(turns.ledger, repair=None, progress=print)]
    assert found == ["waits, but its store gets no turn"] * 2
    assert requeue_lost(turns.ledger) == 0
    assert list(audit(turns.ledger, repair=None, progress=print)) == []
    assert len(_fetch(turns, 2)) == 2


def test_the_audit_puts_a_store_back_too(turns: Rig) -> None:
    """Without a worker that leads."""
    _accept(turns, 1, 2)
    _lose_the_ring(turns)
    assert len(list(audit(turns.ledger, repair=ANN, progress=print))) == 2
    assert list(audit(turns.ledger, repair=None, progress=print)) == []
    assert len(_fetch(turns, 2)) == 2


def test_a_suspended_store_needs_no_turn(turns: Rig) -> None:
    """It leaves the ring when its turn comes, and comes back when it is resumed."""
    _accept(turns, 1)
    turns.redis.hset(turns.key("suspended", _store(1)), mapping={"epoch": "0", "endpoint": "x"})
    assert _fetch(turns) == []
    assert turns.redis.zcard(turns.key("ring")) == 0
    assert turns.problems() == []
    assert turns.stores.resume(_store(1), by="ann")
    assert len(_fetch(turns)) == 1
