"""Each store lives in one cell, whatever is lost, killed or repeated."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator

import pytest
import redis
from dramatiq.errors import ConnectionClosed

from statemachine.flows import State
from tests.support.cells import Cells, new_stores, spread_stores
from tests.support.rig import STORE_ID
from worker.cells.choosing import choose
from worker.cells.directory import Directory
from worker.cells.names import FRONT


@pytest.fixture
def cells(redis_url: str) -> Iterator[Cells]:
    """The front and three cells."""
    found = Cells(redis_url)
    yield found
    found.close()


def _home(cells: Cells, store_id: str = STORE_ID) -> str:
    found = cells.directory.known(store_id)
    assert found is not None
    return found


def _queued(cells: Cells, cell: str) -> int:
    return int(cells.rigs[cell].redis.llen(cells.rigs[cell].key("refunds")))


def test_a_job_that_is_sent_to_the_front_is_refunded_in_the_cell_of_its_store(
    cells: Cells, log: io.StringIO
) -> None:
    """Producers need not know of cells."""
    refund_id = cells.request()
    cells.run()
    home = choose(STORE_ID, 3)
    assert cells.where(refund_id) == [home]
    assert cells.load(refund_id).state is State.REFUNDED
    assert _home(cells) == home
    assert not cells.front.redis.hkeys(cells.front.key("refunds.msgs"))
    [sent] = [
        line
        for line in map(json.loads, log.getvalue().splitlines())
        if line["event"] == "refund.sent_to_cell"
    ]
    assert (sent["refund_id"], sent["cell"]) == (refund_id, home)


def test_the_same_job_twice_is_one_refund(cells: Cells) -> None:
    """Also if it was sent a second time while the first one was on its way."""
    order = cells.simulator.add_order(STORE_ID, created_date="2025-01-02T03:04:05.000Z")
    for _ in range(2):
        cells.front.request(order, "rf-1")
        cells.front.run_queued()
    cells.run()
    assert len(cells.where("rf-1")) == 1
    assert len(order.refunds) == 1


def test_stores_that_were_there_before_there_were_cells_stay(redis_url: str) -> None:
    """Growing moves no store that has work, nor one that is only connected."""
    before = Cells(redis_url, 1)
    finished = before.request()
    before.run()
    [connected] = new_stores(1)
    before.front.stores.save_checks(connected, {"name": "only connected"})
    after = Cells(redis_url, 3, namespace=before.settings.namespace)
    after.simulator = after.front.simulator
    later, other = after.request(), after.request(connected)
    after.front.run_queued()
    assert after.where(later) == after.where(finished) == [FRONT]
    assert after.where(other) == [FRONT]
    before.close()
    after.close()


def test_growing_moves_no_store_that_has_a_cell(cells: Cells, redis_url: str) -> None:
    """With four cells, jobs go to where the store's others are."""
    stores = spread_stores()
    for store_id in stores:
        cells.request(store_id)
    cells.front.run_queued()
    homes = {store_id: _home(cells, store_id) for store_id in stores}
    assert set(homes.values()) == {"0", "1", "2"}
    grown = Cells(redis_url, 4, namespace=cells.settings.namespace)
    moved = [one for one in stores if choose(one, 4) != homes[one]]
    assert moved, "none of the stores would move, so this shows nothing"
    again = {store_id: grown.request(store_id) for store_id in stores}
    grown.front.run_queued()
    for cell in grown.rigs:
        grown.rigs[cell].run_queued()
    assert {one: grown.where(again[one]) for one in stores} == {o: [homes[o]] for o in stores}
    grown.close()


def test_a_worker_that_knows_fewer_cells_finds_a_store_in_a_newer_one(cells: Cells) -> None:
    """Versions of the setting run beside each other while it is rolled out."""
    bigger = cells.directory_of(4)
    [store_id] = [one for one in new_stores(60) if choose(one, 4) == "3"][:1]
    assert bigger.home(store_id) == "3"
    cells.request(store_id)
    cells.front.run_queued()
    assert cells.front.redis.llen(f"{{{cells.settings.namespace}:3}}:refunds") == 1


def test_a_new_store_is_placed_by_the_largest_number_of_cells_that_is_known(cells: Cells) -> None:
    """So two workers with different settings choose the same cell."""
    cells.directory_of(4).grow()
    assert {cells.directory.home(one) for one in new_stores(40)} == {"0", "1", "2", "3"}
    assert cells.directory.grow() == 4


def test_of_two_workers_that_choose_at_once_the_first_one_decides(cells: Cells) -> None:
    """The directory is the arbiter, whatever each of them thinks."""
    store_id = next(one for one in new_stores(60) if choose(one, 3) != choose(one, 4))
    seen = cells.directory.evidence
    late = cells.directory_of(4)

    def while_the_other_one_looks(store: str, names: tuple[str, ...]) -> str | None:
        found = seen(store, names)
        assert late.home(store) == choose(store, 4)
        return found

    cells.directory.evidence = while_the_other_one_looks  # type: ignore[method-assign,assignment]  # the moment
    assert cells.directory.home(store_id) == choose(store_id, 4)


def test_a_worker_that_is_killed_after_it_sent_a_job_on_sends_it_again(cells: Cells) -> None:
    """It is acknowledged at the front last, and its cell accepts it once."""
    refund_id = cells.request()
    command = cells.front.broker.command

    def killed(name: str, *given: object, **more: object) -> object:
        if name == "ack_all":
            raise ConnectionClosed(ConnectionError("killed"))  # type: ignore[no-untyped-call]  # dramatiq's has no hints
        return command(name, *given, **more)  # type: ignore[arg-type]  # passed on

    cells.front.broker.command = killed  # type: ignore[method-assign]  # the moment
    consumer = cells.front.broker.consume("refunds", prefetch=2, timeout=1)
    message = next(consumer)
    assert message is not None
    cells.front._run(cells.front.broker.get_actor("request_refund"), message)
    home = cells.rigs[_home(cells)]
    home.run_until_idle()
    assert home.load(refund_id).state is State.REFUNDED
    cells.front.broker.command = command  # type: ignore[method-assign]  # as it was
    consumer.ack(message)
    consumer.close()
    assert cells.front.redis.hkeys(cells.front.key("refunds.msgs")) == [f"{refund_id}/job"]
    version = home.load(refund_id).version
    cells.run()
    assert cells.where(refund_id) == [_home(cells)]
    assert home.load(refund_id).version == version
    assert not cells.front.redis.hkeys(cells.front.key("refunds.msgs"))


def test_a_directory_that_lost_a_store_finds_it_in_its_cell(cells: Cells) -> None:
    """Although there are more cells by now, and the store would get another one."""
    stores = spread_stores()
    for store_id in stores:
        cells.request(store_id)
    cells.front.run_queued()
    for rig in cells.rigs.values():
        rig.run_queued()
    homes = {store_id: _home(cells, store_id) for store_id in stores}
    cells.front.redis.delete(cells.front.key("homes"))
    grown = cells.directory_of(4)
    assert [one for one in stores if choose(one, 4) != homes[one]]
    assert {store_id: grown.home(store_id) for store_id in stores} == homes


def test_a_cell_knows_a_store_before_it_accepts_its_first_job(cells: Cells) -> None:
    """If the directory loses the entry at that moment, the store does not get a second cell."""
    store_id = next(one for one in new_stores(60) if choose(one, 3) != choose(one, 4))
    home = cells.directory.home(store_id)
    cells.move_in(home, store_id)
    cells.front.redis.delete(cells.front.key("homes"))
    assert cells.directory_of(4).home(store_id) == home


def test_a_cell_sends_on_what_a_front_with_an_old_memory_has_sent_to_it(cells: Cells) -> None:
    """The directory has lost the entry, and another worker has chosen another cell since."""
    store_id = next(one for one in new_stores(60) if choose(one, 3) != choose(one, 4))
    refund_id = cells.request(store_id)
    cells.front.run_queued()
    old = _home(cells, store_id)
    assert _queued(cells, old) == 1
    new = next(cell for cell in ("0", "1", "2") if cell != old)
    cells.front.redis.hset(cells.front.key("homes"), store_id, new)
    second = cells.request(store_id)
    cells.run()
    assert cells.where(refund_id) == cells.where(second) == [new]


def test_an_assignment_that_no_replica_has_is_not_used(cells: Cells) -> None:
    """An old primary that still answers must not choose another cell than the new one."""
    careful = Directory(cells.clients, count=3, settle_delay_ms=1, wait_replicas=1)
    with pytest.raises(redis.ConnectionError, match="too few replicas"):
        careful.home(STORE_ID)


def test_a_repeat_of_what_the_front_has_forgotten_is_found_there(redis_url: str) -> None:
    """Its store has left no other trace, and gets a cell: the tombstone is at the front."""
    alone = Cells(redis_url, 1)
    refund_id = alone.request()
    alone.front.run_queued()
    [job] = [alone.load(refund_id).request]
    namespace = alone.settings.namespace
    for name in ("of_store", "lane", "busy", "worked", "suspended"):
        alone.front.redis.delete(alone.front.key(f"{name}:{STORE_ID}"))
    grown = Cells(redis_url, 3, namespace=namespace)
    assert grown.directory.home(STORE_ID) == choose(STORE_ID, 3)
    order = alone.simulator.orders[job.order_id]
    grown.front.request(order, refund_id)
    grown.run()
    assert grown.where(refund_id) == [FRONT]
    assert not grown.front.broker.quarantined()
    alone.close()
    grown.close()
