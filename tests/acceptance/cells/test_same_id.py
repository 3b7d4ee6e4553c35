"""An id names one refund, also where the stores of two jobs live in different cells."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator

import pytest

from statemachine.flows import State
from tests.support.api import api_program, ask
from tests.support.cells import Cells, new_stores
from tests.support.rig import STORE_ID
from worker.cells.choosing import choose
from worker.cells.names import FRONT

_CONFLICT = "urn:wix-refund-worker:problem:conflict"


@pytest.fixture
def cells(redis_url: str) -> Iterator[Cells]:
    """The front and three cells."""
    found = Cells(redis_url)
    yield found
    found.close()


def _store_of(cell: str) -> str:
    """Return a new store that gets this cell."""
    return next(one for one in new_stores(100) if choose(one, 3) == cell)


def _reasons(cells: Cells) -> list[str]:
    return [letter["reason"] for letter in cells.front.broker.quarantined().values()]


def test_a_second_job_for_a_store_of_another_cell_is_a_conflict(
    cells: Cells, log: io.StringIO
) -> None:
    """As with one ledger; the refund that is there goes on, and a repeat of its own job is none."""
    home = choose(STORE_ID, 3)
    cells.request(refund_id="rf-1")
    cells.run()
    cells.request(_store_of("2" if home == "0" else "0"), "rf-1")
    cells.run()
    assert cells.where("rf-1") == [home]
    assert _reasons(cells) == ["conflict"]
    assert cells.load("rf-1").state is State.REFUNDED
    order = cells.simulator.orders[cells.load("rf-1").request.order_id]
    cells.front.request(order, "rf-1", store_id=STORE_ID)
    cells.run()
    assert _reasons(cells) == ["conflict"]
    assert len(order.refunds) == 1
    events = [json.loads(line)["event"] for line in log.getvalue().splitlines()]
    assert events.count("refund.conflict") == 1
    assert events.count("refund.duplicate") == 1


def test_a_second_job_for_a_store_of_the_front_is_a_conflict_too(cells: Cells) -> None:
    """The front looks into all cells, also for what it would accept itself."""
    cells.request(_store_of("1"), "rf-1")
    cells.run()
    [at_front] = new_stores(1)
    cells.front.redis.hset(cells.front.key("homes"), at_front, FRONT)
    cells.request(at_front, "rf-1")
    cells.run()
    assert cells.where("rf-1") == ["1"]
    assert _reasons(cells) == ["conflict"]


def test_the_id_of_a_forgotten_refund_is_known_in_all_cells(cells: Cells) -> None:
    """What is left of it is its digest."""
    cells.request(_store_of("0"), "rf-1")
    cells.run()
    rig = cells.rigs["0"]
    rig.redis.delete(rig.key("refund:rf-1"))
    rig.redis.hset(rig.key("refund:rf-1"), mapping={"digest": "0123456789", "t": "r"})
    cells.request(_store_of("2"), "rf-1")
    cells.run()
    assert cells.rigs["2"].ledger.load("rf-1") is None
    assert _reasons(cells) == ["conflict"]


def test_a_refund_of_the_same_store_in_another_cell_needs_a_person(cells: Cells) -> None:
    """Its job is no repeat where the directory has the store, and would be refunded twice."""
    store_id = _store_of("0")
    cells.request(store_id, "rf-1")
    cells.run()
    cells.front.redis.hset(cells.front.key("homes"), store_id, "2")
    order = cells.simulator.orders[cells.load("rf-1").request.order_id]
    cells.front.request(order, "rf-1", store_id=store_id)
    cells.run()
    assert cells.where("rf-1") == ["0"]
    [letter] = cells.front.broker.quarantined().values()
    assert letter["reason"] == "store_in_two_cells"
    assert "0 and 2" in letter["detail"]


def test_a_cell_that_does_not_answer_does_not_hold_up_the_others(cells: Cells) -> None:
    """Whether it has a refund of this id is not known then, and is not asked for a while."""
    cells.request(_store_of("0"), "rf-1")
    cells.run()
    routes = cells.front.app.routes
    assert routes is not None
    store_id = _store_of("2")
    cells.front.redis.hset(cells.front.key("homes"), store_id, "2")
    away = routes._clients.of("0")
    away.connection_pool.connection_kwargs |= {"port": 1, "retry": None}
    away.connection_pool.reset()
    cells.request(store_id, "rf-1")
    cells.run()
    assert routes._clients.is_away("0")
    assert cells.where("rf-1") == ["0", "2"]


def test_over_http_the_same_key_for_another_cell_is_a_conflict(cells: Cells) -> None:
    """And a store that is asked for in vain leaves the refund alone."""
    url, namespace = cells.settings.redis_url.get_secret_value(), cells.settings.namespace
    first, second = _store_of("1"), _store_of("2")
    with api_program(url, namespace, REFUNDS_CELLS="3") as api, api.client() as client:
        assert ask(client, "rf-1", store_id=first).status_code == 202
        assert ask(client, "rf-1", store_id=first).status_code == 200
        refused = ask(client, "rf-1", store_id=second)
        assert (refused.status_code, refused.json()["type"]) == (409, _CONFLICT)
        assert client.get("/v1/refunds/rf-1").json()["store_id"] == first
    assert cells.where("rf-1") == ["1"]
