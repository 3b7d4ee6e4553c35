"""What is not known is not guessed, and what runs beside cells without knowing them stops."""

from __future__ import annotations

import io
import json
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import cast

import pytest
import redis
from dramatiq.broker import MessageProxy

from statemachine.flows import State
from tests.support.cells import Cells, new_stores, spread_stores
from tests.support.rig import ANN, STORE_ID, settings_for
from worker.app import membership_from
from worker.cells.choosing import choose
from worker.cells.clients import Clients
from worker.cells.names import FRONT
from worker.cells.routing import Sorted, Valid, routes_from
from worker.cells.settings import settings_of
from worker.errors import OtherLedger, StoreInTwoCells
from worker.ledger.acts import ALL_STORES
from worker.ledger.connection import Client
from worker.operations.acts import stores
from worker.queue.delivery import Delivery
from worker.queue.jobs import Job, batch_of
from worker.queue.middleware import may_pass
from worker.queue.server_errors import explain
from worker.refund.request import parse_request
from worker.upstream import RefundQueue


@pytest.fixture
def cells(redis_url: str) -> Iterator[Cells]:
    """The front and three cells."""
    found = Cells(redis_url)
    yield found
    found.close()


def test_a_store_of_which_two_cells_have_refunds_needs_a_person(
    cells: Cells, log: io.StringIO
) -> None:
    """Nothing is guessed: an order must have one lease."""
    for cell in ("0", "2"):
        cells.move_in(cell, STORE_ID)
    with pytest.raises(StoreInTwoCells, match="0 and 2"):
        cells.directory.home(STORE_ID)
    refund_id = cells.request()
    cells.run()
    assert cells.where(refund_id) == []
    [letter] = cells.front.broker.quarantined().values()
    assert letter["reason"] == "store_in_two_cells"
    assert letter["job"]["refund_id"] == refund_id
    assert '"store.in_two_cells"' in log.getvalue()


def test_a_cell_that_does_not_answer_keeps_only_its_own_jobs_waiting(cells: Cells) -> None:
    """The others of the batch are accepted; these come again."""
    stores = spread_stores()
    ids = {store_id: cells.request(store_id) for store_id in stores}
    routes = routes_from(cells.front.settings, cells.front.broker)
    assert routes is not None
    away = routes._clients.of("1")
    away.connection_pool.connection_kwargs |= {"port": 1, "retry": None}
    away.connection_pool.disconnect()
    homes = {store_id: choose(store_id, 3) for store_id in stores}
    for store_id, home in homes.items():
        cells.front.redis.hset(cells.front.key("homes"), store_id, home)
    consumer = cells.front.broker.consume("refunds", prefetch=2, timeout=1)
    message = next(consumer)
    assert message is not None
    jobs = _jobs(cells, message)
    result = routes.sort(jobs)
    assert [type(one) for one in result.problems] == [redis.ConnectionError]
    gone = {each[1].store_id for each, _ in result.sent}
    assert gone == {one for one in stores if homes[one] != "1"}
    consumer.close()
    left = cells.front.redis.hkeys(cells.front.key("refunds.msgs"))
    assert set(left) == {f"{ids[one]}/job" for one in stores if homes[one] == "1"}
    routes.close()


def test_a_store_that_cannot_be_found_keeps_no_other_jobs_waiting(cells: Cells) -> None:
    """A new one gets no cell while one of them is away; the jobs of the others are sent on."""
    new, *others = [one for one in new_stores(90) if choose(one, 3) == "2"][:10]
    for store_id in others:
        cells.front.redis.hset(cells.front.key("homes"), store_id, "2")
    ids = {store_id: cells.request(store_id) for store_id in (new, *others)}
    routes = cells.front.app.routes
    assert routes is not None
    away = routes._clients.of("1")
    away.connection_pool.connection_kwargs |= {"port": 1, "retry": None}
    away.connection_pool.disconnect()
    assert [type(one) for one in _sorted(cells).problems] == [redis.ConnectionError]
    assert cells.rigs["2"].redis.llen(cells.rigs["2"].key("refunds")) == len(others)
    assert cells.front.redis.hkeys(cells.front.key("refunds.msgs")) == [f"{ids[new]}/job"]
    assert cells.directory.known(new) is None


def test_a_cell_that_hangs_does_not_keep_each_batch_waiting(cells: Cells) -> None:
    """Jobs for it, and for stores without a cell, wait until it is asked again."""
    stores = {cell: next(s for s in new_stores(90) if choose(s, 3) == cell) for cell in ("0", "1")}
    for cell, store_id in stores.items():
        cells.front.redis.hset(cells.front.key("homes"), store_id, cell)
    [new] = new_stores(1)
    ids = {store_id: cells.request(store_id) for store_id in (new, *stores.values())}
    routes = cells.front.app.routes
    assert routes is not None
    _let_hang(routes._clients)
    assert {str(one) for one in _sorted(cells).problems} == {"cell 1 did not answer a moment ago"}
    assert cells.rigs["0"].redis.llen(cells.rigs["0"].key("refunds")) == 1
    left = cells.front.redis.hkeys(cells.front.key("refunds.msgs"))
    assert set(left) == {f"{ids[new]}/job", f"{ids[stores['1']]}/job"}
    assert cells.directory.known(new) is None


def test_a_cell_that_hung_is_asked_for_a_moment_before_anybody_waits_for_it_again(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a short limit and once; a server that answers again has its jobs at once."""
    monkeypatch.setattr("worker.cells.clients.AWAY_S", 0.0)
    monkeypatch.setattr("worker.cells.clients.LOOK_S", 0.05)
    with closing(Clients(redis_url, "refunds", {})) as clients:
        _let_hang(clients)
        assert (clients.hanging(), clients.is_away("1")) == (set(), False)
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        url = f"redis://127.0.0.1:{deaf.getsockname()[1]}/0"
        with closing(Clients(url, "refunds", {})) as clients:
            _let_hang(clients)
            assert clients.hanging() == {"1"}
            deaf.accept()[0].close()
            deaf.settimeout(0)
            with pytest.raises(BlockingIOError):
                deaf.accept()
            assert clients.is_away("1")


def _let_hang(clients: Clients) -> None:
    """Let somebody wait in vain for the second cell."""
    with pytest.raises(redis.TimeoutError), clients.watched("1"):
        raise redis.TimeoutError


def test_a_job_for_a_cell_that_there_is_not_waits_at_the_front(cells: Cells) -> None:
    """Somebody has mistyped the directory: nobody would take it from the queue of such a cell."""
    refund_id = cells.request()
    cells.front.redis.hset(cells.front.key("homes"), STORE_ID, "7")
    [problem] = _sorted(cells).problems
    assert f"the directory has store {STORE_ID} in cell 7, which there is not" in explain(problem)
    assert may_pass(problem)
    assert cells.front.redis.hkeys(cells.front.key("refunds.msgs")) == [f"{refund_id}/job"]
    assert not cells.clients.of("7").exists(f"{cells.clients.ns('7')}:refunds")


def _sorted(cells: Cells) -> Sorted:
    """Let the front sort the jobs that are queued."""
    routes, consumer = cells.front.app.routes, cells.front.broker.consume("refunds", timeout=1)
    message = next(consumer)
    assert routes is not None
    assert message is not None
    result = routes.sort(_jobs(cells, message))
    consumer.close()
    return result


def _jobs(cells: Cells, message: MessageProxy) -> list[Valid]:
    """Return the jobs of a batch as intake has them once they are checked."""
    worker_id = cells.front.broker.broker_id
    return [
        (
            Job(one, Delivery(worker_id, "refunds", one.options["redis_message_id"])),
            parse_request(one.kwargs),
            None,
        )
        for one in batch_of(message)
    ]


def test_a_worker_from_before_there_were_cells_accepts_nothing_any_more(redis_url: str) -> None:
    """It would keep the jobs of stores that live in a cell; it stops instead."""
    alone = Cells(redis_url, 1)
    alone.request()
    alone.directory_of(3).grow()
    request = parse_request({"refund_id": "a", "store_id": STORE_ID, "order_id": _order(alone)})
    with pytest.raises(OtherLedger):
        alone.front.ledger.accept(request, alone.front.delivery())
    assert alone.front.ledger.is_other
    assert "set it to 3" in alone.front.membership.lost(alone.front.ledger.installation or "")
    alone.front.ledger.is_other = False
    alone.close()


def _order(cells: Cells) -> str:
    """Return the id of a new order."""
    return cells.simulator.add_order(STORE_ID, created_date="2025-01-02T03:04:05.000Z").id


def test_a_worker_with_fewer_cells_than_there_are_does_not_start(cells: Cells) -> None:
    """The stores of the others would have no worker, if all machines were set so."""
    cells.directory_of(5).grow()
    [finding, *_] = cells.front.membership.join().findings
    assert (finding.check, finding.level) == ("installation", "refused")
    assert "live in 5 cells, but REFUNDS_CELLS is 3" in finding.text


def test_each_cell_has_its_share_of_the_limits_for_all_stores(redis_url: str) -> None:
    """They cannot be counted together in one atomic write."""
    given = settings_for(
        redis_url, guard_all_hour="1000 refunds, 50000 USD", guard_all_day="2 refunds"
    )
    cell = settings_of(given.model_copy(update={"cells": 3}), "1", 3)
    assert cell.guard_all_hour == "250 refunds, 12500.0000 USD"
    assert cell.guard_all_day == "1 refunds"
    assert settings_of(given, FRONT, 1) is given


def test_each_cell_has_an_archive_of_its_own(cells: Cells, tmp_path: Path) -> None:
    """An archive belongs to one ledger."""
    given = cells.settings.model_copy(update={"archive": tmp_path})
    found = {cell: settings_of(given, cell, 3).archive for cell in (FRONT, "2")}
    assert found == {FRONT: tmp_path, "2": tmp_path / "cell-2"}


def test_a_cell_that_was_emptied_is_noticed_on_any_machine(cells: Cells) -> None:
    """The front knows its installation, where no file outlives the worker."""
    rig = cells.rigs["1"]
    settings = rig.settings.model_copy(update={"state_dir": Path("/dev/null/nothing")})
    membership = membership_from(settings, rig.broker.client)
    assert membership.join().installation == rig.ledger.installation
    rig.redis.delete(rig.key("installation"))
    [finding, *_] = membership.join().findings
    assert (finding.level, "the front knows" in finding.text) == ("refused", True)
    adopted = membership.adopt(ANN).installation
    assert membership.join().installation == adopted
    assert adopted != rig.ledger.installation
    rig.ledger.installation = adopted


def test_a_front_that_was_emptied_places_no_store(cells: Cells) -> None:
    """A cell on its server was emptied with it, so nobody may know the store any more."""
    cells.front.redis.delete(cells.front.key("installation"), cells.front.key("clock"))
    with pytest.raises(redis.ConnectionError, match="emptied"):
        cells.directory.home(STORE_ID)
    cells.front.membership.adopt(ANN)
    assert cells.directory.look(STORE_ID).hold_ms > 0


def test_a_store_may_be_connected_before_a_worker_has_started(cells: Cells) -> None:
    """Then neither the front nor any cell is an installation."""
    for rig in cells.rigs.values():
        rig.redis.delete(rig.key("installation"))
    assert cells.directory.settle(STORE_ID) == choose(STORE_ID, 3)


def test_a_signed_job_with_a_due_time_is_the_same_in_its_cell(redis_url: str) -> None:
    """It is sent on as it came, so its signature and its time stay."""
    key = "k" * 40
    producers = json.dumps({"shop": {"keys": [key], "allow": ["*"]}})
    cells = Cells(redis_url, more={"producer_keys": producers})
    url, namespace = redis_url, cells.settings.namespace
    with RefundQueue(url, namespace=namespace, producer="shop", key=key) as queue:
        queue.request(refund_id="signed", store_id=STORE_ID, order_id=_order(cells))
    with RefundQueue(url, namespace=namespace) as queue:
        queue.request(refund_id="unsigned", store_id=STORE_ID, order_id=_order(cells))
    cells.run()
    assert cells.load("signed").state is State.REFUNDED
    assert cells.where("unsigned") == []
    [letter] = cells.front.broker.quarantined().values()
    assert letter["reason"] == "bad_signature"
    cells.close()


def test_a_new_cell_is_paused_while_all_stores_are(cells: Cells) -> None:
    """Whoever paused everything in an incident is not surprised by a cell that is added then."""
    stores.pause(cells.front.acts, ALL_STORES, operator=ANN)
    given = settings_of(cells.settings.model_copy(update={"cells": 4}), "3", 4)
    new = membership_from(given, cells.clients.of("3"))
    key = f"{{{given.namespace}}}:paused"
    assert new.join().installation
    assert cells.clients.of("3").hget(key, ALL_STORES) == cells.front.redis.hget(
        cells.front.key("paused"), ALL_STORES
    )
    # A person may resume it alone; a restart does not pause it again.
    cells.clients.of("3").delete(key)
    new.join()
    assert not cells.clients.of("3").exists(key)


def test_a_worker_asks_other_cells_less_often_than_its_own(cells: Cells) -> None:
    """While one hangs, all jobs of the front wait; what was not sent comes again."""
    routes = cells.front.app.routes
    assert routes is not None
    retries = [cast("Client", routes._clients.of(cell)).retries for cell in ("1", FRONT)]
    assert retries == [1, 3]
