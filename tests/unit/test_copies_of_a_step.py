"""What a step hands on: each of its fields is either handed on, or begins anew for a reason."""

from __future__ import annotations

from dataclasses import fields
from types import SimpleNamespace
from typing import Any

import pytest

from worker.flows.reads import Reads
from worker.flows.step import Step
from worker.refund.facts import NO_FACTS

#: What the step that follows at once does not share with the one before it.
OWN = frozenset({"refund", "wix", "learned", "notices"})
#: What the ledger was told.
TOLD = frozenset({"accepted_endpoints", "outcome"})


def test_a_step_that_follows_at_once_shares_all_but_its_own_state() -> None:
    """Also each field that is added to steps later."""
    given: dict[str, Any] = {one.name: object() for one in fields(Step) if one.init}
    record: Any = object()
    silent: Any = object()
    step = Step(**given | {"wix": SimpleNamespace(silent=lambda: silent)})
    following = step.followed_by(record)
    for name in given.keys() - OWN:
        assert getattr(following, name) is given[name], name
    assert following.refund is record
    assert following.wix is silent
    assert (following.learned, following.notices) == (NO_FACTS, [])


@pytest.mark.parametrize("epoch", [None, 2])
def test_what_was_read_is_kept_when_the_ledger_was_told(epoch: int | None) -> None:
    """And what was not told does not count for another key of the store."""
    given: dict[str, Any] = {one.name: object() for one in fields(Reads)}
    reads = Reads(**given | {"accepted_endpoints": {"get_order"}, "outcome": "failed"})
    after = reads.told() if epoch is None else reads.in_epoch(epoch)
    for name in given.keys() - TOLD - {"epoch"}:
        assert getattr(after, name) is given[name], name
    assert (after.accepted_endpoints, after.outcome) == (set(), "")
    assert after.epoch == (given["epoch"] if epoch is None else epoch)
    assert (reads.accepted_endpoints, reads.outcome) == ({"get_order"}, "failed")
