"""The programs, on a Redis Cluster with several masters: a process for each cell, API, metrics."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import redis
from redis.crc import key_slot

from config.settings import Settings
from statemachine.flows import State
from tests.support.api import api_program
from tests.support.cells import new_stores
from tests.support.commands import refunds
from tests.support.processes import PATIENCE_S, child_pids, command_line, wait_until
from tests.support.rig import AFTER, KEY, settings_for
from tests.support.servers import Cluster, cluster, free_port
from tests.support.worker_program import program
from worker.cells.choosing import choose
from worker.cells.names import all_cells, namespace_of
from worker.simulator import Simulator, serve
from worker.upstream import RefundQueue


def _spread(found: Cluster, namespace: str, count: int) -> None:
    """Put the front and each cell on a master of its own."""
    for place, cell in enumerate(all_cells(count)):
        slot = key_slot(f"{{{namespace_of(namespace, cell)}}}".encode())
        if place:
            found.move(slot, to=found.nodes[place])


@contextmanager
def _queue(settings: Settings) -> Iterator[RefundQueue]:
    url = settings.redis_url.get_secret_value()
    with RefundQueue(url, namespace=settings.namespace) as queue:
        yield queue


def _environment(settings: Settings, stores: list[str]) -> dict[str, str]:
    return {
        "REFUNDS_REDIS_URL": settings.redis_url.get_secret_value(),
        "REFUNDS_NAMESPACE": settings.namespace,
        "REFUNDS_STORES": json.dumps({one: {"account_id": "a", "api_key": KEY} for one in stores}),
    }


def test_a_cluster_of_masters_shares_the_cells(tmp_path: Path) -> None:
    """All refunds are made once, each on the master of its cell; everything else finds them."""
    simulator = Simulator()
    stores = [next(s for s in new_stores(60) if choose(s, 2) == c) for c in ("0", "1") * 3]
    with cluster(tmp_path, 3) as found:
        settings, metrics = settings_for(found.url), free_port()  # one that no node has
        _spread(found, settings.namespace, 2)
        more = _environment(settings, stores) | {
            "REFUNDS_CELLS": "2",
            "REFUNDS_METRICS_PORT": str(metrics),
        }
        for store_id in stores:
            simulator.add_store(store_id, KEY)
        orders = [simulator.add_order(one, created_date=AFTER) for one in stores]
        with serve(simulator) as wix, program(settings, wix, **more) as worker:
            with _queue(settings) as queue:
                for number, (store_id, order) in enumerate(zip(stores, orders, strict=True)):
                    queue.request(refund_id=f"rf-{number}", store_id=store_id, order_id=order.id)
                for number in range(len(stores)):
                    assert queue.wait(f"rf-{number}", PATIENCE_S).state == State.REFUNDED
                subjects = {one.event["subject"] for one in queue.outcomes()}
            assert subjects >= {f"rf-{number}" for number in range(len(stores))}
            assert [len(order.refunds) for order in orders] == [1] * len(stores)
            served = [_cell_of(pid) for pid in child_pids(worker.pid)]
            assert sorted(served) == ["0", "1", "front"]
            text = httpx.get(f"http://127.0.0.1:{metrics}/metrics").text
            assert f"refunds_accepted_total {len(stores)}.0" in text
            assert _asked_over_http(settings, stores[0], simulator)
            told = json.loads(refunds(None, "status", "--json", environment=more).stdout)
            assert told["refunds"]["states"]["refunded"] == len(stores) + 1
            os.kill(worker.pid, signal.SIGTERM)
            worker.communicate(timeout=PATIENCE_S)
        assert worker.returncode == 0
        held = [_records(node.client) for node in found.nodes]
        assert held == [0, 4, 3]


def _records(client: redis.Redis) -> int:
    return sum(1 for key in client.scan_iter("*:refund:*"))


def _asked_over_http(settings: Settings, store_id: str, simulator: Simulator) -> bool:
    """Ask for a refund over HTTP, and wait for its end."""
    order = simulator.add_order(store_id, created_date=AFTER)
    url = settings.redis_url.get_secret_value()
    with (
        api_program(url, settings.namespace, REFUNDS_CELLS="2") as api,
        api.client() as client,
    ):
        job = {"refund_id": "http", "store_id": store_id, "order_id": order.id}
        headers = {"Idempotency-Key": "http"}
        assert client.post("/v1/refunds", json=job, headers=headers).status_code == 202
        assert client.post("/v1/refunds", json=job, headers=headers).status_code == 200
        wait_until(lambda: client.get("/v1/refunds/http").json()["state"] == "refunded")
        [listed] = client.get("/v1/refunds", params={"order_id": order.id}).json()["refunds"]
        page = client.get("/v1/outcomes").json()
        rest = client.get("/v1/outcomes", params={"after": page["after"]}).json()
        assert page["after"].count(",") == 2
        assert rest["outcomes"] == []
        wanted = {event["subject"] for event in page["outcomes"]}
    return listed["refund_id"] == "http" and wanted >= {"http", "rf-0", "rf-1"}


def _cell_of(pid: int) -> str:
    """Return the cell that a worker process serves."""
    return command_line(pid).rpartition("--cell ")[2].split()[0]


def test_a_worker_that_serves_some_cells_leaves_the_others_alone(redis_url: str) -> None:
    """Machines can share the cells."""
    settings, simulator = settings_for(redis_url), Simulator()
    stores = [next(s for s in new_stores(60) if choose(s, 2) == c) for c in ("0", "1")]
    more = _environment(settings, stores) | {"REFUNDS_CELLS": "2"}
    for store_id in stores:
        simulator.add_store(store_id, KEY)
    with serve(simulator) as wix, _queue(settings) as queue:
        for number, store_id in enumerate(stores):
            order = simulator.add_order(store_id, created_date=AFTER)
            queue.request(refund_id=f"rf-{number}", store_id=store_id, order_id=order.id)
        with program(settings, wix, REFUNDS_SERVED_CELLS="front,1", **more) as worker:
            assert queue.wait("rf-1", PATIENCE_S).state == State.REFUNDED
            assert queue.status("rf-0").state == "queued"
            served = [_cell_of(pid) for pid in child_pids(worker.pid)]
            assert sorted(served) == ["1", "front"]
        with program(settings, wix, REFUNDS_SERVED_CELLS="0", **more):
            assert queue.wait("rf-0", PATIENCE_S).state == State.REFUNDED


def test_growing_while_refunds_are_under_way_loses_and_doubles_none(redis_url: str) -> None:
    """From one ledger to three cells and to four, with workers of both settings side by side."""
    settings, simulator = settings_for(redis_url), Simulator()
    stores, orders = new_stores(8), {}
    more = _environment(settings, stores)
    for store_id in stores:
        simulator.add_store(store_id, KEY)
    with serve(simulator) as wix, _queue(settings) as queue:

        def ask(name: str, some: list[str]) -> None:
            for place, store_id in enumerate(some):
                refund_id = f"{name}-{place}"
                orders[refund_id] = simulator.add_order(store_id, created_date=AFTER)
                queue.request(refund_id=refund_id, store_id=store_id, order_id=orders[refund_id].id)

        ask("one", stores[:3])
        with program(settings, wix, **more) as alone:
            queue.wait("one-0", PATIENCE_S)
            with program(settings, wix, REFUNDS_CELLS="3", **more):
                wait_until(lambda: _count(redis_url, settings.namespace) == 3)
                ask("three", stores[:6])
                wait_until(lambda: alone.poll() is not None or queue.status("three-5").is_final)
                with program(settings, wix, REFUNDS_CELLS="4", **more):
                    ask("four", stores)
                    for refund_id in orders:
                        assert queue.wait(refund_id, PATIENCE_S).state == State.REFUNDED
    assert [len(order.refunds) for order in orders.values()] == [1] * len(orders)
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        homes = client.hgetall(f"{{{settings.namespace}}}:homes")
    assert [homes[one] for one in stores[:3]] == ["front"] * 3
    assert {homes[one] for one in stores[3:6]} <= {"0", "1", "2"}
    found = refunds(None, "audit", "--json", environment=more)
    assert found.returncode == 0


def _count(url: str, namespace: str) -> int:
    with redis.Redis.from_url(url, decode_responses=True) as client:
        return int(client.hget(f"{{{namespace}}}:installation", "cells") or 1)
