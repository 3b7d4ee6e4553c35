"""Upstream sends to the front, and reads what became of it in all cells."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from tests.support.api import ONE, api_program, ask
from tests.support.cells import Cells, new_stores
from worker.cells.choosing import choose
from worker.upstream import AsyncRefundQueue, RefundQueue


@pytest.fixture
def cells(redis_url: str) -> Iterator[Cells]:
    """Three cells, and a store of each."""
    found = Cells(redis_url)
    yield found
    found.close()


@pytest.fixture
def queue(cells: Cells) -> Iterator[RefundQueue]:
    """Upstream's client, which is told of no cells."""
    url = cells.settings.redis_url.get_secret_value()
    with RefundQueue(url, namespace=cells.settings.namespace) as opened:
        yield opened


def _one_in_each(cells: Cells, names: str = "rf") -> list[str]:
    """Ask for a refund in each cell."""
    return [
        cells.request(next(s for s in new_stores(60) if choose(s, 3) == n), f"{names}-{n}")
        for n in ("0", "1", "2")
    ]


def test_the_status_of_a_refund_is_found_in_its_cell(cells: Cells, queue: RefundQueue) -> None:
    """From the moment that its job is sent, also while it goes from the front to the cell."""
    ids = _one_in_each(cells)
    assert [queue.status(one).state for one in ids] == ["queued"] * 3
    cells.front.run_queued()
    assert [queue.status(one).state for one in ids] == ["queued"] * 3
    cells.run()
    assert {queue.status(one).state for one in ids} == {"accepted"}
    assert queue.status("rf-9").state == "unknown"
    cells.front.request(cells.simulator.add_order(_store(cells), created_date=_DAY), "rf-0")
    assert queue.status("rf-0").state == "accepted"


_DAY = "2025-01-02T03:04:05.000Z"


def _store(cells: Cells) -> str:
    return cells.load("rf-0").request.store_id


def test_outcomes_are_read_from_all_cells_and_go_on_behind_a_position(
    cells: Cells, queue: RefundQueue
) -> None:
    """A position names a place in each stream, so nothing is read twice or missed."""
    _one_in_each(cells)
    cells.run()
    seen = [one for one in queue.outcomes() if one.event["type"] == "refund.accepted"]
    assert sorted(one.event["subject"] for one in seen) == ["rf-0", "rf-1", "rf-2"]
    last = list(queue.outcomes())[-1].position
    _one_in_each(cells, "later")
    cells.run()
    later = [one for one in queue.outcomes(after=last) if one.event["type"] == "refund.accepted"]
    assert sorted(one.event["subject"] for one in later) == ["later-0", "later-1", "later-2"]
    first = next(iter(queue.outcomes()))
    rest = {(o.event["source"], o.event["id"]) for o in queue.outcomes(after=first.position)}
    assert (first.event["source"], first.event["id"]) not in rest
    assert len(rest) == len(list(queue.outcomes())) - 1


def test_a_position_from_before_there_were_cells_goes_on(redis_url: str) -> None:
    """A consumer need not begin again when an installation gets cells."""
    before = Cells(redis_url, 1)
    url, namespace = before.settings.redis_url.get_secret_value(), before.settings.namespace
    before.request(refund_id="old")
    before.run()
    with RefundQueue(url, namespace=namespace) as queue:
        position = list(queue.outcomes())[-1].position
        assert "," not in position
        after = Cells(redis_url, 3, namespace=namespace)
        _one_in_each(after)
        after.run()
        found = {one.event["subject"] for one in queue.outcomes(after=position)}
        assert found >= {"rf-0", "rf-1", "rf-2"}
        assert "old" not in found
    before.close()
    after.close()


def test_one_who_follows_sees_the_outcomes_of_cells_that_are_added(
    cells: Cells, queue: RefundQueue
) -> None:
    """He does not have to start again."""
    pages = queue.pages("0")
    assert pages.next(block=False) == []
    _one_in_each(cells)
    cells.run()
    found = [one for _ in range(3) for one in pages.next(block=True)]
    assert {one.event["subject"] for one in found} >= {"rf-0", "rf-1", "rf-2"}


def test_a_group_shares_the_events_of_all_cells(cells: Cells, queue: RefundQueue) -> None:
    """Each event goes to one consumer, and comes again until it is acknowledged."""
    _one_in_each(cells)
    cells.run()
    with queue.outcomes(group="billing", consumer="a") as events:
        found = list(events)
        for outcome in found:
            events.acknowledge(outcome)
    assert {one.event["subject"] for one in found} >= {"rf-0", "rf-1", "rf-2"}
    with queue.outcomes(group="billing", consumer="b") as events:
        assert list(events) == []
    with pytest.raises(ValueError, match="a name must be"):
        queue.outcomes(group="not a name")


def test_coroutines_read_all_cells_too(cells: Cells) -> None:
    """With the same code."""
    _one_in_each(cells)
    cells.run()

    async def _read() -> set[str]:
        url = cells.settings.redis_url.get_secret_value()
        async with AsyncRefundQueue(url, namespace=cells.settings.namespace) as queue:
            return {one.event["subject"] async for one in queue.outcomes()}

    assert asyncio.run(_read()) >= {"rf-0", "rf-1", "rf-2"}


def test_a_store_that_a_caller_of_the_api_may_not_use_gets_no_cell(cells: Cells) -> None:
    """Otherwise each token could fill the directory, where no store is ever removed."""
    url, (store_id,) = cells.settings.redis_url.get_secret_value(), new_stores(1)
    namespace = cells.settings.namespace
    with api_program(url, namespace, REFUNDS_CELLS="3") as api, api.client(ONE) as client:
        assert ask(client, "rf-1", store_id=store_id).status_code == 403
        assert cells.directory.known(store_id) is None
        with api.client() as other:
            assert ask(other, "rf-1", store_id=store_id).status_code == 202
        assert cells.directory.known(store_id) is not None
