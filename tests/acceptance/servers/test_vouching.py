"""A failover of real servers, with workers as programs and the default settle delay."""

from __future__ import annotations

import io
import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from statemachine.flows import State, Transition
from tests.acceptance.queue.test_recovery import Workers
from tests.chaos import child
from tests.chaos.proxy import proxied, redis_size
from tests.chaos.spares import Gate
from tests.support.failovers import OLD_S
from tests.support.processes import is_stopped, wait_until
from tests.support.rig import AFTER, STORE_ID, Rig, settings_for
from tests.support.servers import FAST, Node, node, wait_for_link
from worker.simulator import Simulator, serve

#: Longer than a test may take: what waits for it never ends.
SETTLE_MS = str(300_000)
Pair = tuple[Node, Node]


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[Pair]:
    """A primary and its replica, which have run for some time."""
    with (
        node(tmp_path, *FAST) as first,
        node(tmp_path, *FAST, "--replicaof", f"127.0.0.1 {first.port}") as second,
    ):
        wait_for_link(second)
        wait_until(lambda: second.client.info("server")["uptime_in_seconds"] >= OLD_S)
        yield first, second


def _url(port: int) -> str:
    return f"redis://127.0.0.1:{port}/0"


def test_refunds_go_on_after_a_failover_within_the_settle_delay(
    servers: Pair, simulator: Simulator
) -> None:
    """Two workers live on and vouch for their calls; the primary's last writes are forgotten."""
    first, second = servers
    with (
        serve(simulator) as wix_url,
        proxied(first.port, lambda _: "any", redis_size) as address,
    ):
        rig = Rig(settings_for(_url(address.port)), simulator)
        workers = Workers(rig, wix_url)
        workers.environ["REFUNDS_SETTLE_DELAY_MS"] = SETTLE_MS
        workers.environ["REFUNDS_WORKER_DEAD_AFTER_MS"] = "10000"
        for _ in range(2):
            workers.start()
        wait_until(lambda: len(_workers_beside(rig)) == len(workers.started))
        before_id = rig.request(rig.order(AFTER))
        workers.wait_for(before_id, State.REFUNDED)
        # The rig's own worker lives only when the test lets it, so it leaves, before the last tick.
        rig.broker.leave()
        wait_until(lambda: _has_ticked_since(second, rig))
        assert second.client.zcard(rig.key("workers")) == len(workers.started)
        second.client.replicaof("NO", "ONE")
        order = rig.order(AFTER)
        lost_id = rig.request(order)
        workers.wait_for(lost_id, State.REFUNDED)
        first.process.send_signal(signal.SIGKILL)
        address.lead_to(second.port)
        after_id = rig.request(rig.order(AFTER))
        workers.wait_for(after_id, State.REFUNDED)
        assert f"{STORE_ID}|{order.id}" in second.client.zrange(rig.key("doubted"), 0, -1)
        assert rig.ledger.load(lost_id) is None
        for one in workers.started:
            child.end(one)
        rig.close()


def _workers_beside(rig: Rig) -> set[str]:
    return {*rig.redis.zrange(rig.key("workers"), 0, -1)} - {rig.broker.broker_id}


def _has_ticked_since(replica: Node, rig: Rig) -> bool:
    """Whether a replica has a tick of the ledger's clock from after the rig's worker left."""
    left_ms = replica.client.zscore(rig.key("left"), rig.broker.broker_id)
    return bool(left_ms) and int(replica.client.hget(rig.key("clock"), "last_ms")) > left_ms


def test_a_worker_makes_no_call_before_the_replicas_know_it(
    servers: Pair, simulator: Simulator, log: io.StringIO
) -> None:
    """One that took over would not know whom it must ask."""
    first, second = servers
    second.process.send_signal(signal.SIGSTOP)
    wait_until(lambda: is_stopped(second.process.pid))
    rig = Rig(settings_for(_url(first.port)), simulator)
    refund_id = rig.request(rig.order(AFTER))
    rig._one("refunds")
    rig._one("steps")
    claim: Any = rig.ledger.claim(refund_id, Transition.SUBMIT_REFUND, rig.delivery())
    assert rig.ledger.write_intent(claim, claim.refund, rig.delivery()).status == "held_back"
    second.process.send_signal(signal.SIGCONT)
    wait_until(lambda: _is_written(rig, claim))
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    told = [line["replicas"] for line in lines if line["event"] == "worker.unknown_to_replicas"]
    assert told == [1]
    rig.close()


def _is_written(rig: Rig, claim: Any) -> bool:
    return rig.ledger.write_intent(claim, claim.refund, rig.delivery()).status == "written"


def test_replicas_that_are_always_late_get_to_know_a_worker(
    tmp_path: Path, simulator: Simulator
) -> None:
    """They need not have what was written since it came."""
    with node(tmp_path, *FAST) as first:
        gate = Gate(first.port)
        with node(tmp_path, *FAST, "--replicaof", f"127.0.0.1 {gate.port}") as second:
            wait_for_link(second)
            gate.open.clear()
            rig = Rig(settings_for(_url(first.port)), simulator)
            refund_id = rig.request(rig.order(AFTER))
            rig._one("refunds")
            rig._one("steps")
            claim: Any = rig.ledger.claim(refund_id, Transition.SUBMIT_REFUND, rig.delivery())
            assert not _is_written(rig, claim)
            written = first.client.info("replication")["master_repl_offset"]
            gate.open.set()
            wait_until(lambda: first.client.info("replication")["slave0"]["offset"] >= written)
            gate.open.clear()
            wait_until(lambda: _is_written(rig, claim))
            rig.close()
        gate.close()
