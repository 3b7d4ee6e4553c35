"""Workers that are killed or frozen in the middle of a step. `make recovery` measures the times."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest

from statemachine.flows import State
from tests.chaos import child
from tests.chaos.bottomless import bottomless
from tests.support.processes import PATIENCE_S, is_stopped, wait_until
from tests.support.rig import AFTER, BEFORE, KEY, STORE_ID, Rig
from worker.refund.outcomes import read
from worker.simulator import Fault, serve
from worker.simulator.world.orders import Order

END = {AFTER: State.REFUNDED, BEFORE: State.CANCELLED}
#: A worker that waits for the processor on a busy machine must not count as dead, so heartbeats
#: lapse only when a test says so (`declare_dead`).
STEADY = {"REFUNDS_WORKER_DEAD_AFTER_MS": "60000"}
#: Long timeouts, so that only the lease stops a worker that wakes after a long time.
PATIENT = {
    "REFUNDS_WIX_CONNECT_TIMEOUT_MS": "60000",
    "REFUNDS_WIX_READ_TIMEOUT_MS": "60000",
    "REFUNDS_WIX_TOTAL_TIMEOUT_MS": "60000",
    "REFUNDS_SETTLE_DELAY_MS": "60000",
}


class Workers:
    """Worker programs on one rig's server and namespace."""

    def __init__(self, rig: Rig, wix_url: str) -> None:
        self.rig = rig
        self.environ = (
            child.QUICK
            | STEADY
            | {
                "REFUNDS_REDIS_URL": rig.settings.redis_url.get_secret_value(),
                "REFUNDS_NAMESPACE": rig.settings.namespace,
                "REFUNDS_WIX_BASE_URL": wix_url,
                "REFUNDS_STORES": json.dumps({STORE_ID: {"account_id": "a", "api_key": KEY}}),
            }
        )
        self.started: list[BaseProcess] = []

    def start(self, *, log: Path | None = None) -> BaseProcess:
        """Start a worker that keeps running."""
        self.started.append(child.start(self.environ, log=log))
        return self.started[-1]

    def start_until(
        self, checkpoint: str, visit: int, number: signal.Signals, *, log: Path | None = None
    ) -> BaseProcess:
        """Start a worker that sends itself a signal when it visits a checkpoint (1-based)."""
        at = (checkpoint, visit)
        self.started.append(child.start(self.environ | PATIENT, at, crash_by=number, log=log))
        return self.started[-1]

    def declare_dead(self) -> None:
        """Let the heartbeats of all workers lapse, and the leadership of the one that had it."""
        workers = self.rig.redis.zrange(self.rig.key("workers"), 0, -1)
        self.rig.redis.zadd(self.rig.key("workers"), dict.fromkeys(workers, 1))
        self.rig.redis.delete(self.rig.key("scheduler"))

    def wait_for(self, refund_id: str, state: State) -> None:
        """Wait until the refund is in this state."""
        wait_until(lambda: (r := self.rig.ledger.load(refund_id)) and r.state is state)

    def calls(self, endpoint: str, order: Order) -> int:
        """Count the calls of one endpoint of Wix for this order."""
        asked = [(call["endpoint"], call["order_id"]) for call in self.rig.simulator.calls]
        return asked.count((endpoint, order.id))


@pytest.fixture
def workers(rig: Rig) -> Iterator[Workers]:
    """Workers against the simulator over HTTP, killed at the end."""
    with serve(rig.simulator) as url:
        workers = Workers(rig, url)
        yield workers
        for one in workers.started:
            child.end(one)


def _effects(order: Order) -> int:
    return order.cancellations + len(order.refunds)


@pytest.mark.parametrize("created", [BEFORE, AFTER])
def test_a_fresh_worker_carries_on_where_the_only_one_was_killed(
    rig: Rig, workers: Workers, created: str
) -> None:
    """A kill after Wix's answer and before the commit does not repeat the call.

    The fault matrix of tests/chaos covers all other points.
    """
    order = bottomless(rig.simulator, rig.order(created))
    killed = workers.start_until("after_call", 2, signal.SIGKILL)
    refund_id = rig.request(order)
    wait_until(lambda: not killed.is_alive())
    workers.declare_dead()
    workers.start()
    workers.wait_for(refund_id, END[created])
    assert _effects(order) == 1


@pytest.mark.parametrize(
    ("created", "endpoint"), [(BEFORE, "cancel_order"), (AFTER, "submit_refund")]
)
def test_a_worker_that_was_frozen_after_its_claim_does_not_act_when_it_wakes(
    rig: Rig, workers: Workers, created: str, endpoint: str
) -> None:
    """SIGSTOP in the middle of a step; another worker finishes the refund; SIGCONT."""
    order = bottomless(rig.simulator, rig.order(created))
    frozen = workers.start_until("after_claim", 2, signal.SIGSTOP)
    refund_id = rig.request(order)
    wait_until(lambda: is_stopped(_pid(frozen)))
    workers.declare_dead()
    workers.start()
    workers.wait_for(refund_id, END[created])
    written = rig.ledger.history(refund_id)
    _wake_and_stop(rig, workers, frozen)
    assert workers.calls(endpoint, order) == 1
    assert rig.ledger.history(refund_id) == written
    assert _effects(order) == 1


def test_a_worker_that_was_frozen_just_before_its_call_does_not_send_it(
    rig: Rig, workers: Workers
) -> None:
    """It wakes with an old answer of Wix, which says that everything can be refunded."""
    order = bottomless(rig.simulator, rig.order(AFTER))
    rig.simulator.script(Fault("slow", "get_order_refundability", slow_ms=1_000))
    frozen = workers.start_until("never", 1, signal.SIGSTOP)
    refund_id = rig.request(order)
    wait_until(lambda: not rig.simulator.faults[0].times)
    os.kill(_pid(frozen), signal.SIGSTOP)
    wait_until(lambda: is_stopped(_pid(frozen)))
    workers.declare_dead()
    workers.start()
    workers.wait_for(refund_id, State.REFUNDED)
    written = rig.ledger.history(refund_id)
    _wake_and_stop(rig, workers, frozen)
    assert workers.calls("submit_refund", order) == 1
    assert rig.ledger.history(refund_id) == written
    assert len(order.refunds) == 1


@pytest.mark.parametrize("checkpoint", ["after_call", "before_commit"])
@pytest.mark.parametrize("created", [BEFORE, AFTER])
def test_a_worker_that_was_frozen_after_its_call_writes_nothing_when_it_wakes(
    rig: Rig, workers: Workers, created: str, checkpoint: str, tmp_path: Path
) -> None:
    """Wix carried out the call; another worker finishes the refund; SIGCONT comes too late."""
    order = bottomless(rig.simulator, rig.order(created))
    log = tmp_path / "frozen.log"
    frozen = workers.start_until(checkpoint, 2, signal.SIGSTOP, log=log)
    refund_id = rig.request(order)
    wait_until(lambda: is_stopped(_pid(frozen)))
    assert _effects(order) == 1
    workers.declare_dead()
    workers.start()
    workers.wait_for(refund_id, END[created])
    written, outcomes = rig.ledger.history(refund_id), _outcomes(rig, refund_id)
    _wake_and_stop(rig, workers, frozen)
    assert rig.ledger.history(refund_id) == written
    assert outcomes == _outcomes(rig, refund_id)
    assert [e["type"] for e in outcomes] == ["refund.accepted", "refund.finished"]
    assert _lease_lost_in(log) == [refund_id]
    assert _effects(order) == 1
    assert rig.problems() == []


@pytest.mark.parametrize("created", [BEFORE, AFTER])
def test_a_woken_worker_does_not_write_over_one_that_runs_the_same_step(
    rig: Rig, workers: Workers, created: str, tmp_path: Path
) -> None:
    """The first worker wakes and commits while the second, which took over, is in the step."""
    order = bottomless(rig.simulator, rig.order(created))
    log = tmp_path / "frozen.log"
    frozen = workers.start_until("after_call", 2, signal.SIGSTOP, log=log)
    refund_id = rig.request(order)
    wait_until(lambda: is_stopped(_pid(frozen)))
    workers.declare_dead()
    other = workers.start_until("after_claim", 1, signal.SIGSTOP)
    wait_until(lambda: is_stopped(_pid(other)))
    written = rig.ledger.history(refund_id)
    os.kill(_pid(frozen), signal.SIGCONT)
    wait_until(lambda: _lease_lost_in(log))
    assert rig.ledger.history(refund_id) == written
    os.kill(_pid(other), signal.SIGCONT)
    workers.wait_for(refund_id, END[created])
    assert _effects(order) == 1
    assert rig.problems() == []


def _pid(program: BaseProcess) -> int:
    assert program.pid
    return program.pid


def _outcomes(rig: Rig, refund_id: str) -> list[dict[str, Any]]:
    events = [event for _, event in read(rig.redis, rig.settings.namespace)]
    return [event for event in events if event["subject"] == refund_id]


def _lease_lost_in(log: Path) -> list[str]:
    """Return the refunds for which a worker found that it had lost the lease."""
    whole_lines = [
        line for line in log.read_text().splitlines(keepends=True) if line.endswith("\n")
    ]
    logged = [json.loads(line) for line in whole_lines]
    return [line["refund_id"] for line in logged if line["event"] == "step.lease_lost"]


def _wake_and_stop(rig: Rig, workers: Workers, frozen: BaseProcess) -> None:
    """Wake the worker, let it do another refund, so that the step it was in is over, and stop it.

    The other worker is killed first: only the woken one can do that refund.
    """
    child.end(workers.started[-1])
    workers.declare_dead()
    os.kill(_pid(frozen), signal.SIGCONT)
    refund_id = rig.request(rig.order(BEFORE))
    workers.wait_for(refund_id, State.CANCELLED)
    os.kill(_pid(frozen), signal.SIGTERM)
    frozen.join(PATIENCE_S)
    assert frozen.exitcode == 0
