"""The run against strange bytes, for some seconds; and that it would notice what is wrong."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from tests.fuzz.mutations import odd_json, odd_request, odd_text
from tests.fuzz.run import Fuzz, Summary

RIGHT: dict[str, Any] = {"kwargs": {"refund_id": "rf-1", "lines": [{"quantity": 1}]}, "args": []}


def test_what_is_sent_is_strange_in_many_ways_and_depends_on_the_seed_alone() -> None:
    """Some of it is JSON, some is not, and hardly any is what it was made of."""
    one, same = random.Random(7), random.Random(7)  # noqa: S311 - repeatable on purpose
    texts = [odd_text(one, RIGHT) for _ in range(500)]
    assert texts == [odd_text(same, RIGHT) for _ in range(500)]
    documents = 0
    for text in texts:
        try:
            json.loads(text)
        except (ValueError, RecursionError):
            continue
        documents += 1
    assert 100 < documents < 450
    assert len(set(texts)) > 300
    assert odd_json(one, RIGHT) != RIGHT
    assert odd_request(one, "/", "", RIGHT)


@pytest.mark.parametrize("what", ["lost_messages", "lost_jobs", "doubled", "stopped", "is_growing"])
def test_a_run_fails_if_something_is_wrong(what: str) -> None:
    """One of each is enough."""
    fine = Summary(9, 9, 9, 9, 8, 1, 0, 0, 0, 0, {}, is_growing=False)
    assert not fine.is_wrong
    changed: dict[str, Any] = {what: 1}
    assert fine._replace(**changed).is_wrong


def test_some_seconds_of_strange_bytes_stop_and_lose_nothing() -> None:
    """Memory needs a longer run."""
    summary = Fuzz(seed=3, minutes=0.1).run()
    assert summary.messages > 0
    assert summary.requests > 0
    assert summary.jobs == summary.ended + summary.dead > 0
    assert not summary._replace(is_growing=False).is_wrong
