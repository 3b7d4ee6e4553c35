"""`refunds list --store` reads the list of the store; all refunds are in such lists."""

from __future__ import annotations

import json
from typing import Any

from statemachine.flows import State
from tests.support.commands import refunds
from tests.support.indexing import index
from tests.support.rig import AFTER, KEY, STORE_ID, Rig
from worker.client import enqueue
from worker.ledger.reindexing import MARGIN_MS, PIECE, VERSION, Reindexing
from worker.ledger.search import Search
from worker.operations.searching import find
from worker.operations.selection import Selection
from worker.refund.request import parse_request


def _json(rig: Rig, *arguments: str) -> Any:
    done = refunds(rig, *arguments, "--json")
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return json.loads(done.stdout)


def test_a_store_has_a_list_of_its_own(rig: Rig) -> None:
    """No refund of another store is looked at; the total is known without counting."""
    others = [f"4b296c48-0000-4000-8000-{n:012d}" for n in range(2, 5)]
    for n, store_id in enumerate(others):
        rig.simulator.add_store(store_id, KEY)
        order = rig.simulator.add_order(store_id, created_date=AFTER)
        job = {"refund_id": f"rf-other-{n}", "store_id": store_id, "order_id": order.id}
        enqueue(rig.broker, parse_request(job))
    rig.request(rig.order(AFTER), "rf-a")
    rig.request(rig.order(AFTER), "rf-b")
    rig.run_until_idle()
    index(rig)
    told = _json(rig, "list", "--store", STORE_ID, "--limit", "1")
    assert ([r["refund_id"] for r in told["refunds"]], told["total"]) == (["rf-b"], 2)
    rest = _json(rig, "list", "--store", STORE_ID, "--after", told["after"])
    assert [row["refund_id"] for row in rest["refunds"]] == ["rf-a"]
    search = Search(rig.broker.client, namespace=rig.settings.namespace)
    # Its list alone is read, even if the list of all refunds is not there.
    rig.redis.rename(rig.key("accepted"), rig.key("elsewhere"))
    for more in ({}, {"text": "rf-"}, {"since_ms": 1}, {"state": State.REFUNDED}):
        selection = Selection(store=STORE_ID, **more)
        assert [m.refund_id for m in find(search, selection, "all")] == ["rf-b", "rf-a"]
    rig.redis.rename(rig.key("elsewhere"), rig.key("accepted"))


def test_what_an_older_version_accepts_meanwhile_is_listed(rig: Rig) -> None:
    """It does not know the lists; the next pass of the leader puts its refunds there."""
    ids = [rig.run(rig.order(AFTER)).refund_id for _ in range(2)]
    index(rig)
    rig.redis.delete(rig.key("of_store", STORE_ID), rig.key("orders"))
    index(rig)
    search = Search(rig.broker.client, namespace=rig.settings.namespace)
    selection = Selection(store=STORE_ID)
    assert {m.refund_id for m in find(search, selection, "all")} == set(ids)
    assert search.size("orders") == len(ids)


def test_many_refunds_with_the_same_time_are_all_listed(rig: Rig) -> None:
    """More of them than a piece has; none is listed twice."""
    count = 2 * PIECE + 7
    members = {f"rf-{n}": 5 if n < count - 3 else 9 for n in range(count)}
    rig.redis.zadd(rig.key("accepted"), members)
    rig.redis.hset(rig.key("indexed"), mapping={"version": VERSION, "since_ms": MARGIN_MS + 5})
    seen: list[str] = []
    indexing = Reindexing(rig.broker.client, rig.ledger.ns, seen.extend, lambda: 0.0)
    indexing.turn()
    while indexing._pass is not None:
        indexing.turn()
    assert len(seen) == count
    assert set(seen) == set(members)
    rig.redis.delete(rig.key("accepted"))


def test_a_pass_of_another_version_is_not_continued(rig: Rig) -> None:
    """Its cursor says nothing about the lists of this version."""
    refund_id = rig.run(rig.order(AFTER)).refund_id
    rig.redis.delete(rig.key("of_store", STORE_ID))
    rig.redis.hset(rig.key("indexed"), mapping={"cursor": 2**40, "pass": "0"})
    index(rig)
    assert rig.redis.zrange(rig.key("of_store", STORE_ID), 0, -1) == [refund_id]
