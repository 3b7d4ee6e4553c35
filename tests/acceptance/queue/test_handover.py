"""A thread goes on with what the commit of its last step hands to it; see lua/leases.lua."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator

import pytest

from statemachine.flows import State, Transition
from tests.support.lost_replies import lose_reply
from tests.support.own_server import own_server
from tests.support.rig import AFTER, KEY, STORE_ID, Rig, settings_for
from worker.queue import handover
from worker.queue.broker import INTAKE, STEPS
from worker.simulator import Simulator
from worker.simulator.world.orders import Order
from worker.upstream import RefundQueue

#: Tests below count what the server was asked.
redis_url = own_server

OTHER_STORE = "4b296c48-0000-4000-8000-000000000002"


@pytest.fixture
def chained(redis_url: str) -> Iterator[Rig]:
    """A rig that hands over, with two stores, in which no other worker waits for work."""
    stores = {store: {"account_id": "a", "api_key": KEY} for store in (STORE_ID, OTHER_STORE)}
    rig = Rig(settings_for(redis_url, stores=json.dumps(stores)), Simulator())
    rig.simulator.add_store(OTHER_STORE, KEY)
    rig.redis.delete(rig.key("idle"))
    rig.broker.hands_over = rig.next_step_is_here = True
    rig.simulator.set_flags(refund_answer="settled")
    yield rig
    rig.close()


def _accepted(rig: Rig, order: Order | None = None, store_id: str = STORE_ID) -> str:
    order = order or rig.simulator.add_order(store_id, created_date=AFTER)
    refund_id = rig.request(order, f"rf-{uuid.uuid4()}", store_id=store_id)
    rig._one(INTAKE)
    return refund_id


def _events(rig: Rig, refund_id: str) -> list[str]:
    return [str(line["event"]) for line in rig.ledger.history(refund_id)]


def _handed(rig: Rig) -> dict[str, str]:
    found: dict[str, str] = rig.redis.hgetall(rig.key("handed", rig.broker.broker_id))
    return found


def _is_clean(rig: Rig) -> bool:
    """Whether nothing is queued, in flight, handed over or held."""
    inflight = rig.key("steps", "inflight", rig.broker.broker_id)
    gone = not rig.redis.exists(rig.key("steps"), rig.key("steps.msgs"), inflight)
    idle = not rig.broker.executions and not rig.broker.handed
    return gone and idle and not _handed(rig) and rig.problems() == []


def _scripts(rig: Rig) -> int:
    return int(rig.redis.info("commandstats")["cmdstat_evalsha"]["calls"])


def test_a_refund_goes_on_in_its_thread(chained: Rig) -> None:
    """One message and one claim; the confirmation asks for nothing, and needs no commit."""
    _accepted(chained)
    chained._one(STEPS)  # the server knows the scripts from now on
    refund_id = _accepted(chained)
    chained.redis.config_resetstat()
    chained._one(STEPS)
    assert _scripts(chained) == len(("fetch", "claim", "commit", "intent", "commit"))
    assert chained.load(refund_id).state is State.REFUNDED
    assert chained.load(refund_id).attempts == 3
    assert _is_clean(chained)


def test_a_thread_goes_on_with_the_next_refund(chained: Rig) -> None:
    """The commit that ends one hands over the next: neither a fetch nor a claim is needed."""
    _accepted(chained)
    chained._one(STEPS)  # as above
    ids = [_accepted(chained) for _ in range(3)]
    chained.redis.config_resetstat()
    chained._one(STEPS)
    assert _scripts(chained) == len(("fetch", "claim")) + 3 * len(ids)
    assert {chained.load(refund_id).state for refund_id in ids} == {State.REFUNDED}
    assert _is_clean(chained)


def test_each_step_has_a_message_id_of_its_own(chained: Rig) -> None:
    """Log lines and letters tell the steps apart, as if each had its message."""
    seen: list[str] = []
    refund_id = _accepted(chained)
    held_by = chained.key("refund", refund_id), "held_by"
    chained.at["after_claim"] = lambda: seen.append(chained.redis.hget(*held_by).split("|")[-2])
    chained._one(STEPS)
    assert seen == [f"{refund_id}~1", f"{refund_id}~2"]


def test_a_step_that_asks_for_nothing_is_told_like_any_other(chained: Rig) -> None:
    """Its line in the history, the attempts and the version are those of a step of its own."""
    first, second = _accepted(chained), _accepted(chained)
    chained._one(STEPS)
    chained.broker.hands_over = False
    third = _accepted(chained)
    for _ in range(3):
        chained._one(STEPS)
    records = [chained.load(refund_id) for refund_id in (first, second, third)]
    assert {record.state for record in records} == {State.REFUNDED}
    assert [_events(chained, refund_id).count("step.done") for refund_id in (first, third)] == [
        3,
        3,
    ]
    shown = [(one.version, one.attempts, one.attempt, one.wix_calls) for one in records]
    assert shown[0] == shown[1] == shown[2]


def test_an_answer_that_is_not_final_is_confirmed_by_a_step_of_its_own(chained: Rig) -> None:
    """It reads again later, as ever."""
    chained.simulator.set_flags(refund_answer="scheduled")
    refund_id = _accepted(chained)
    chained._one(STEPS)
    assert chained.load(refund_id).state is State.REFUND_SUBMITTED
    assert _events(chained, refund_id)[-1] == "step.waiting"
    assert chained.load(refund_id).attempts == 2  # a look is not counted


def test_the_last_step_in_a_thread_tells_what_wix_accepted(chained: Rig) -> None:
    """Also what the steps before it were answered, which did not write it."""
    _accepted(chained)
    chained._one(STEPS)
    worked = set(chained.redis.hkeys(chained.key("worked", STORE_ID)))
    assert worked == {
        "get_order", "list_transactions", "get_order_refundability", "submit_refund"
    }  # fmt: skip
    assert chained.redis.zscore(chained.key("answers"), STORE_ID) > 0


@pytest.mark.parametrize("place", ["before_commit", "after_commit"])
@pytest.mark.parametrize("in_one_thread", [True, False])
def test_what_wix_said_about_an_earlier_key_is_not_told_of_the_next(
    chained: Rig, place: str, *, in_one_thread: bool
) -> None:
    """Else a permission that the new key lacks would be called a problem of the order."""
    exchanged: list[int] = []

    def exchange() -> None:
        if not exchanged:
            exchanged.append(chained.redis.hincrby(chained.key("store", STORE_ID), "epoch", 1))
            chained.redis.delete(chained.key("worked", STORE_ID))

    chained.at[place] = exchange
    chained.broker.hands_over = in_one_thread
    refund_id = _accepted(chained)
    for _ in range(1 if in_one_thread else 3):
        chained._one(STEPS)
    assert chained.load(refund_id).state is State.REFUNDED
    worked = set(chained.redis.hkeys(chained.key("worked", STORE_ID)))
    given_before = {"list_transactions", "get_order_refundability", "submit_refund"}
    # A step that was claimed with the earlier key says nothing of the next one.
    assert worked == (set() if in_one_thread and place == "after_commit" else given_before)


def test_a_commit_that_is_repeated_hands_over_the_same(chained: Rig) -> None:
    """Pitfall 8: redis-py repeats a script whose reply was lost."""
    lose_reply(chained.ledger._scripts, "commit")
    orders = [chained.order(AFTER) for _ in range(2)]
    ids = [_accepted(chained, order) for order in orders]
    chained._one(STEPS)
    assert [chained.load(refund_id).state for refund_id in ids] == [State.REFUNDED] * 2
    assert [chained.load(refund_id).attempts for refund_id in ids] == [3, 3]
    assert [len(order.refunds) for order in orders] == [1, 1]
    assert _is_clean(chained)


@pytest.mark.parametrize("is_long", [True, False])
def test_a_refund_that_takes_long_gives_way_to_a_store_that_goes_ahead(
    chained: Rig, monkeypatch: pytest.MonkeyPatch, *, is_long: bool
) -> None:
    """A quiet store then waits for a step, not for a refund; the other one goes on afterwards."""
    monkeypatch.setattr(handover, "LONG_S", 0 if is_long else 3_600)
    first = _accepted(chained)
    quiet: list[str] = []

    def arrives() -> None:
        if not quiet:
            quiet.append("")
            quiet[0] = _accepted(chained, store_id=OTHER_STORE)

    chained.at["before_commit"] = arrives
    chained._one(STEPS)
    assert chained.load(quiet[0]).state is State.REFUNDED
    assert chained.load(first).state is (State.REFUNDABLE if is_long else State.REFUNDED)
    chained.run_until_idle()
    assert chained.load(first).state is State.REFUNDED
    assert _is_clean(chained)


def test_a_step_that_waits_for_the_thread_comes_first(chained: Rig) -> None:
    """The refund's next step is queued."""
    first, _ = _accepted(chained), _accepted(chained)
    steps = chained.broker.consume(STEPS, prefetch=4, timeout=1)
    fetched: list[object] = []
    chained.at["before_commit"] = lambda: fetched.append(next(steps)) if not fetched else None
    chained._one(STEPS)
    assert chained.load(first).state is State.REFUNDABLE
    assert chained.redis.llen(chained.key("steps")) == 1
    assert not _handed(chained)
    steps.requeue([fetched[0]])  # type: ignore[list-item]  # a message


def test_a_batch_of_jobs_does_not_wait_for_the_thread(chained: Rig) -> None:
    """It has its own: the thread goes on with the refund."""
    first = _accepted(chained)
    chained.request(chained.order(AFTER))
    jobs = chained.broker.consume(INTAKE, prefetch=2, timeout=1)
    batch: list[object] = []
    chained.at["before_commit"] = lambda: batch.append(next(jobs)) if not batch else None
    chained._one(STEPS)
    assert chained.load(first).state is State.REFUNDED
    jobs.requeue([batch[0]])  # type: ignore[list-item]  # a message


def test_what_is_queued_comes_before_the_stores_in_turn(chained: Rig) -> None:
    """The thread fetches it; a refund that was given back must not wait for all lanes."""
    first, second = _accepted(chained), _accepted(chained)
    chained.at["before_commit"] = lambda: chained.redis.rpush(chained.key("steps"), "ghost")
    chained._one(STEPS)
    assert chained.load(first).state is State.REFUNDED
    assert chained.load(second).state is State.ACCEPTED


def test_at_the_end_of_the_worker_the_next_step_is_queued(chained: Rig) -> None:
    """SIGTERM stops after the step that runs; nothing is claimed for later."""
    refund_id = _accepted(chained)

    def stop() -> None:
        chained.broker.hands_over = False

    chained.at["before_commit"] = stop
    chained._one(STEPS)
    assert chained.load(refund_id).state is State.REFUNDABLE
    assert (chained.redis.llen(chained.key("steps")), _handed(chained)) == (1, {})


def test_what_was_handed_over_when_the_worker_ends_is_given_back(chained: Rig) -> None:
    """SIGTERM came while the step was being committed: it is not run, and others may claim it."""
    refund_id = _accepted(chained)

    def stop() -> None:
        chained.broker.hands_over = False

    chained.at["after_commit"] = stop
    chained._one(STEPS)
    assert len(_handed(chained)) == 1
    chained.app.scheduler.give_back(0)
    assert (chained.redis.llen(chained.key("steps")), _handed(chained)) == (1, {})
    other = chained.delivery("another worker")
    chained.redis.zadd(chained.key("workers"), {"another worker": 10**14})
    assert chained.ledger.claim(refund_id, Transition.SUBMIT_REFUND, other).status == "claimed"


def test_an_order_that_was_looked_up_is_not_taken_from_who_holds_it(chained: Rig) -> None:
    """The commit that writes the id hands the same refund over, and must look again."""
    order = chained.simulator.add_order(STORE_ID, created_date=AFTER, number="10124")
    fields = {"refund_id": "rf-1", "store_id": STORE_ID, "order_number": "10124"}
    url = chained.settings.redis_url.get_secret_value()
    with RefundQueue(url, namespace=chained.settings.namespace) as queue:
        queue.request(**fields)
    chained._one(INTAKE)
    lease, holder = chained.key("lease", STORE_ID, order.id), "another worker|rf-2~1|e"
    chained.redis.zadd(chained.key("workers"), {"another worker": 10**14})
    chained.redis.set(lease, holder)
    chained._one(STEPS)
    assert chained.redis.get(lease) == holder
    assert (chained.load("rf-1").state, len(order.refunds)) == (State.ACCEPTED, 0)
    chained.redis.delete(lease)
    chained.run_until_idle()
    assert (chained.load("rf-1").state, len(order.refunds)) == (State.REFUNDED, 1)
    assert _is_clean(chained)
