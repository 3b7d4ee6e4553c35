"""Many jobs at once: each valid one becomes one refund, each invalid one is named."""

from __future__ import annotations

import itertools
import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
import redis

from statemachine.flows import State
from tests.support.own_server import own_server
from tests.support.rig import AFTER, STORE_ID, Rig
from worker.client import RefundQueue
from worker.upstream.many import MOST_CHARACTERS, MOST_JOBS, Batches

#: Tests below count what the server was asked.
redis_url = own_server

ORDER_ID = "67668940-527d-4465-94c6-5475d8c7a412"


def _job(number: int, **more: Any) -> dict[str, Any]:
    ids = {"refund_id": f"rf-{number}", "store_id": STORE_ID, "order_id": ORDER_ID}
    return ids | more


def test_each_valid_job_becomes_one_refund_also_when_all_are_sent_again(
    rig: Rig, queue: RefundQueue
) -> None:
    """After an error of Redis the caller does not know which of them arrived."""
    orders = [rig.order(AFTER) for _ in range(3)]
    jobs = [_job(number, order_id=order.id) for number, order in enumerate(orders)]
    assert queue.request_many(iter(jobs)) == (3, [])
    assert queue.request_many(jobs) == (3, [])
    rig.run_until_idle()
    assert {rig.load(f"rf-{number}").state for number in range(3)} == {State.REFUNDED}
    assert [len(order.refunds) for order in orders] == [1, 1, 1]


def test_an_invalid_job_is_named_and_does_not_stop_the_others(rig: Rig, queue: RefundQueue) -> None:
    """By its place, as a report about a file needs it."""
    jobs: list[Any] = [_job(1), _job(2, amount="1,50"), None, ["rf-4"], _job(5)]
    sent, refused = queue.request_many(jobs)
    assert sent == rig.redis.llen(rig.key("refunds")) == 2
    assert [(each.number, each.error.errors[0].rule) for each in refused] == [
        (2, "format"), (3, "type"), (4, "type"),
    ]  # fmt: skip


def test_a_round_trip_carries_up_to_500_jobs(rig: Rig, queue: RefundQueue) -> None:
    """Sent one by one, 1,001 jobs would take 1,001 commands."""
    queue.request(**_job(0))
    before = rig.redis.info("commandstats")["cmdstat_evalsha"]["calls"]
    assert queue.request_many(_job(number) for number in range(1, 1_002)).sent == 1_001
    after = rig.redis.info("commandstats")["cmdstat_evalsha"]["calls"]
    assert after - before == 3
    assert rig.redis.llen(rig.key("refunds")) == 1_002


def test_the_jobs_keep_their_order(rig: Rig, queue: RefundQueue) -> None:
    """Refunds of one order run one after the other, in the order in which they were asked for."""
    queue.request_many(_job(number) for number in range(600))
    texts = rig.redis.hmget(rig.key("refunds.msgs"), rig.redis.lrange(rig.key("refunds"), 0, -1))
    found = [text.partition('"refund_id":"rf-')[2].partition('"')[0] for text in texts]
    assert found == [str(number) for number in range(600)]


@pytest.mark.parametrize("may_read", [True, False])
def test_two_jobs_of_a_refund_in_one_batch_both_arrive(rig: Rig, *, may_read: bool) -> None:
    """The second one is a conflict, which a person must see; a user's rights change nothing."""
    rights = (
        "+@all" if may_read else "-@all +@connection +evalsha +script|load +hset +hsetnx +rpush"
    )
    url = rig.settings.redis_url.get_secret_value()
    rig.redis.execute_command("ACL", "SETUSER", "sender", "on", ">PASSWORD", "~*", *rights.split())
    with RefundQueue(
        url.replace("://", "://sender:PASSWORD@"), namespace=rig.settings.namespace
    ) as queue:
        order = rig.order(AFTER)
        first, other = (_job(1, order_id=order.id, reason=reason) for reason in ("a", "b"))
        assert queue.request_many([first, other, _job(2, order_id=order.id)]) == (3, [])
        assert rig.redis.llen(rig.key("refunds")) == 3
        messages = list(rig.redis.hgetall(rig.key("refunds.msgs")).items())
        own = str(uuid.uuid4())
        again = [part for place, text in messages for part in (place, own, text)]
        queue.send(again[:3])
        assert rig.redis.llen(rig.key("refunds")) == (3 if may_read else 4)
    rig.run_until_idle()
    assert rig.load("rf-1").request.reason == "a"
    assert [
        letter["reason"] for letter in map(json.loads, rig.redis.hvals(rig.key("quarantine")))
    ] == ["conflict"]
    rig.redis.execute_command("ACL", "DELUSER", "sender")


def test_jobs_are_read_as_they_are_sent() -> None:
    """A generator of a million jobs must not fill the memory."""
    read = itertools.count(1)
    endless = (_job(next(read)) for _ in itertools.repeat(None))
    batches = Batches().of(endless)
    assert [len(next(batches)) for _ in range(3)] == [3 * MOST_JOBS] * 3
    assert next(read) <= 3 * MOST_JOBS + 2


def test_a_batch_of_long_jobs_is_smaller() -> None:
    """One script must not carry many megabytes."""
    notes = {str(number): "x" * 1_000 for number in range(20)}
    batches = list(Batches().of(_job(number, metadata=notes) for number in range(100)))
    assert sum(len(batch) for batch in batches) == 300
    assert max(sum(map(len, batch[2::3])) for batch in batches) <= MOST_CHARACTERS
    assert len(batches) == 2


def test_a_batch_whose_answer_does_not_come_is_sent_again(rig: Rig, queue: RefundQueue) -> None:
    """The server closes the connection, or has forgotten the script; each job counts once."""

    def jobs() -> Iterator[dict[str, Any]]:
        for number in range(1_200):
            if number == 600:
                rig.redis.client_kill_filter(_type="normal", skipme=True)
            if number == 1_100:
                rig.redis.script_flush()
            yield _job(number)

    assert queue.request_many(jobs()) == (1_200, [])
    texts = rig.redis.hvals(rig.key("refunds.msgs"))
    assert {json.loads(text)["kwargs"]["refund_id"] for text in texts} == {
        f"rf-{number}" for number in range(1_200)
    }


def test_an_error_of_redis_is_raised() -> None:
    """What arrived is not known; nothing is counted as sent."""
    with RefundQueue("redis://127.0.0.1:1/0") as queue, pytest.raises(redis.RedisError):
        queue.request_many([_job(1)])
