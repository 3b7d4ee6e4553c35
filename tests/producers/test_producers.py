"""Four producers and three consumers, in a small run; and the judge, which must be able to fail."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest

from tests.producers.judge import (
    World,
    judge_consumer,
    judge_items,
    judge_refunds,
)
from tests.producers.malformed import BY_NAME, MESSAGES, spoiled
from tests.producers.plan import SHARES, Item, Plan
from tests.producers.run import CONSUMERS, Run
from worker.refund.request import InvalidJob, parse_request


def test_a_plan_has_its_shares_and_depends_on_the_seed_alone() -> None:
    """At least twenty ways to be malformed, each of them sent."""
    plan = Plan(7, 2_000)
    assert plan.items == Plan(7, 2_000).items != Plan(8, 2_000).items
    counts = Counter(item.kind for item in plan.items)
    assert {kind: counts[kind] / 2_000 for kind in SHARES} == dict(SHARES)
    assert {item.way for item in plan.items} - {""} == {*BY_NAME, *MESSAGES}
    assert len(BY_NAME) + len(MESSAGES) >= 20
    assert {item.producer for item in plan.items} == {"python", "node", "http", "shell"}


@pytest.mark.parametrize("way", BY_NAME)
def test_a_malformed_job_is_wrong_in_the_field_that_is_expected(way: str) -> None:
    """And in no other."""
    right = Plan(7, 100).items[0].job
    with pytest.raises(InvalidJob) as found:
        parse_request(spoiled({**right, "reason": "damaged"}, way))
    assert [error.field for error in found.value.errors] == [BY_NAME[way].field]


def _world(plan: Plan, **changed: Any) -> World:
    """Return how all must be at the end."""
    new = [item for item in plan.items if item.kind == "new"]
    world = World(
        answers={item.number: _answer(item) for item in plan.items},
        accepted={item.refund_id: dict(item.job) for item in new},
        letters=[letter for item in plan.items if (letter := _letter(item))],
        refunds=dict.fromkeys(plan.orders.values(), 1),
    )
    return world._replace(**changed)


def _answer(item: Item) -> str:
    if item.producer == "python" and item.kind == "malformed":
        return f"refused {BY_NAME[item.way].field}"
    if item.producer != "http":
        return "sent"
    refused = f"422 {BY_NAME[item.way].field}" if item.kind == "malformed" else ""
    return refused or {"conflicting": "409", "badly signed": "401"}.get(item.kind, "202")


def _letter(item: Item) -> Mapping[str, Any] | None:
    if item.producer == "http" or item.kind in {"new", "repeat"}:
        return None
    if item.message:
        return {"reason": MESSAGES[item.way], "message": item.message}
    if item.kind == "malformed":
        errors = [{"field": BY_NAME[item.way].field}]
        is_told = item.producer == "python"
        return None if is_told else {"reason": "invalid_job", "job": item.job, "errors": errors}
    reason = "conflict" if item.kind == "conflicting" else "bad_signature"
    return {"reason": reason, "job": item.job}


def test_the_judge_finds_each_fate_that_is_not_right() -> None:
    """Of a world in which all is right it finds nothing."""
    plan = Plan(7, 400)
    right = _world(plan)
    assert judge_items(plan, right) == []
    assert judge_refunds(plan, right) == {}
    lost = dict(list(right.accepted.items())[1:])
    assert judge_refunds(plan, _world(plan, accepted=lost)) == {"lost": 1}
    assert judge_items(plan, _world(plan, accepted=lost))
    order = plan.orders[next(iter(plan.orders))]
    for count, what in ((0, "not refunded"), (2, "doubled")):
        refunds = {**right.refunds, order: count}
        assert judge_refunds(plan, _world(plan, refunds=refunds)) == {what: 1}
    other = {**right.refunds, plan.others[0]: 1}
    assert judge_refunds(plan, _world(plan, refunds=other)) == {"refunded, but refused": 1}
    for place, letter in enumerate(right.letters):
        without = [one for number, one in enumerate(right.letters) if number != place]
        for letters in (without, [*without, {**letter, "reason": "worker_error"}]):
            assert judge_items(plan, _world(plan, letters=letters)), letter
    for item in plan.items:
        answers = {**right.answers, item.number: "500"}
        found = judge_items(plan, _world(plan, answers=answers))
        assert [one for one, _ in found] == [item] or item.message


def test_the_judge_compares_each_consumer_with_the_stream() -> None:
    """Repeats are allowed; what is missing, unknown or in another order is not."""
    stream = [(f"{refund}/{n}", refund, "t") for n in range(3) for refund in ("a", "b")]
    assert judge_consumer(stream, [*stream, stream[0]]) == (7, 1, 0, 0, 0)
    assert judge_consumer(stream, stream[1:]) == (5, 0, 1, 0, 0)
    assert judge_consumer(stream, [*stream, ("c/1", "c", "t")]) == (7, 0, 0, 1, 0)
    by_refund = sorted(stream)
    assert judge_consumer(stream, by_refund) == (6, 0, 0, 0, 0)
    assert judge_consumer(stream, stream[::-1]) == (6, 0, 0, 0, 2)


def test_a_hundred_jobs_reach_wix_once_and_each_consumer() -> None:
    """From all producers that this machine has; each consumer is killed once in the middle."""
    run = Run(seed=3, jobs=100)
    world, got = run.run()
    for name, why in run.left_out.items():
        sys.stderr.write(f"without {name}: {why}\n")
    assert judge_items(run.plan, world) == []
    assert judge_refunds(run.plan, world) == {}
    assert set(run.killed) == set(CONSUMERS)
    assert [name for name, one in got.items() if one.is_wrong] == []
