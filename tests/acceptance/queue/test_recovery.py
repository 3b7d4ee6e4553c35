"""Workers that are killed or frozen in the middle of a step. Figures: `make recovery`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest

from statemachine.flows import State
from tests.chaos import child
from tests.chaos.bottomless import bottomless
from tests.support.rig import AFTER, BEFORE, KEY, STORE_ID, Rig
from worker.operations.audit import audit
from worker.refund.outcomes import read
from worker.simulator import Fault, serve
from worker.simulator.world.orders import Order

#: Far more than it takes; a test never waits so long unless it fails.
PATIENCE_S = 40
END = {AFTER: State.REFUNDED, BEFORE: State.CANCELLED}


def until(condition: Callable[[], object]) -> None:
    """Poll until the condition is true."""
    pause = threading.Event()
    for _ in range(PATIENCE_S * 50):
        if condition():
            return
        pause.wait(0.02)
    raise AssertionError("it did not happen")


#: Timeouts so long that a worker which wakes does not simply give its call up.
PATIENT = {
    "REFUNDS_WIX_READ_TIMEOUT_MS": "60000",
    "REFUNDS_WIX_TOTAL_TIMEOUT_MS": "60000",
    "REFUNDS_SETTLE_DELAY_MS": "60000",
}


class Two:
    """Worker programs on one rig's server and namespace."""

    def __init__(self, rig: Rig, wix_url: str) -> None:
        self.rig = rig
        self.environ = child.QUICK | {
            "REFUNDS_REDIS_URL": rig.settings.redis_url.get_secret_value(),
            "REFUNDS_NAMESPACE": rig.settings.namespace,
            "REFUNDS_WIX_BASE_URL": wix_url,
            "REFUNDS_STORES": json.dumps({STORE_ID: {"account_id": "a", "api_key": KEY}}),
        }
        self.started: list[BaseProcess] = []

    def start(
        self,
        at: tuple[str, int] | None = None,
        by: signal.Signals = signal.SIGKILL,
        log: Path | None = None,
        *,
        patient: bool = False,
    ) -> BaseProcess:
        """Start a worker that sends itself the signal *by* at the point *at*."""
        environ = self.environ | (PATIENT if patient else {})
        self.started.append(child.start(environ, at, crash_by=by, log=log))
        return self.started[-1]

    def ends(self, refund_id: str, state: State) -> None:
        """Wait until the refund has ended in this state."""
        until(lambda: (r := self.rig.ledger.load(refund_id)) and r.state is state)

    def calls(self, endpoint: str, order: Order) -> int:
        """Count the calls to this endpoint about this order."""
        asked = [(call["endpoint"], call["order_id"]) for call in self.rig.simulator.calls]
        return asked.count((endpoint, order.id))


@contextmanager
def two(rig: Rig) -> Iterator[Two]:
    """Give the programs, and end them afterwards in any case."""
    with serve(rig.simulator) as url:
        workers = Two(rig, url)
        try:
            yield workers
        finally:
            for one in workers.started:
                child.end(one)


def _effects(order: Order) -> int:
    return order.cancellations + len(order.refunds)


@pytest.mark.parametrize("created", [BEFORE, AFTER])
def test_a_fresh_worker_carries_on_where_the_only_one_was_killed(rig: Rig, created: str) -> None:
    """The worker is killed just after Wix acted; the effect happens once by Wix's records.

    The fault matrix kills it at every other point.
    """
    order = bottomless(rig.simulator, rig.order(created))
    with two(rig) as workers:
        killed = workers.start(("after_call", 2))
        refund_id = rig.request(order)
        until(lambda: not killed.is_alive())
        workers.start()
        workers.ends(refund_id, END[created])
    assert _effects(order) == 1


@pytest.mark.parametrize(
    ("created", "endpoint"), [(BEFORE, "cancel_order"), (AFTER, "submit_refund")]
)
def test_a_worker_that_was_frozen_after_its_claim_does_not_act_when_it_wakes(
    rig: Rig, created: str, endpoint: str
) -> None:
    """SIGSTOP in the middle of a step, another worker finishes the refund, SIGCONT."""
    order = bottomless(rig.simulator, rig.order(created))
    with two(rig) as workers:
        frozen = workers.start(("after_intent", 2), signal.SIGSTOP)
        refund_id = rig.request(order)
        until(lambda: rig.redis.zcard(rig.key("workers")) > 1)
        until(lambda: (r := rig.ledger.load(refund_id)) and r.intent_at_ms)
        workers.start()
        workers.ends(refund_id, END[created])
        written = rig.ledger.history(refund_id)
        _wake(frozen)
        _let_it_run(rig, frozen, workers)
        assert workers.calls(endpoint, order) == 1
        assert rig.ledger.history(refund_id) == written
    assert _effects(order) == 1


def test_a_worker_that_was_frozen_just_before_its_call_does_not_send_it(rig: Rig) -> None:
    """It still has Wix's old answer, according to which everything can be refunded."""
    order = bottomless(rig.simulator, rig.order(AFTER))
    rig.simulator.script(Fault("slow", "get_order_refundability", slow_ms=300))
    with two(rig) as workers:
        frozen = workers.start(patient=True)
        refund_id = rig.request(order)
        until(lambda: not rig.simulator.faults[0].times)
        assert frozen.pid
        os.kill(frozen.pid, signal.SIGSTOP)
        workers.start()
        workers.ends(refund_id, State.REFUNDED)
        written = rig.ledger.history(refund_id)
        os.kill(frozen.pid, signal.SIGCONT)
        _let_it_run(rig, frozen, workers)
        assert workers.calls("submit_refund", order) == 1
        assert rig.ledger.history(refund_id) == written
    assert len(order.refunds) == 1


@pytest.mark.parametrize("place", ["after_call", "before_commit"])
@pytest.mark.parametrize("created", [BEFORE, AFTER])
def test_a_worker_that_was_frozen_after_its_call_writes_nothing_when_it_wakes(
    rig: Rig, created: str, place: str, tmp_path: Path
) -> None:
    """After its call the heartbeat lapses and another worker finishes the refund."""
    order = bottomless(rig.simulator, rig.order(created))
    with two(rig) as workers:
        frozen = workers.start((place, 2), signal.SIGSTOP, log=tmp_path / "frozen.log")
        refund_id = rig.request(order)
        until(lambda: _effects(order))
        until(lambda: _is_stopped(frozen))
        workers.start()
        workers.ends(refund_id, END[created])
        written, events = rig.ledger.history(refund_id), _outcomes(rig)
        _wake(frozen)
        _let_it_run(rig, frozen, workers)
        assert rig.ledger.history(refund_id) == written
        assert events == [e for e in _outcomes(rig) if e["subject"] == refund_id]
    assert [e["type"] for e in events] == ["refund.accepted", "refund.finished"]
    assert _lease_lost_in(tmp_path / "frozen.log") == [refund_id]
    assert _effects(order) == 1
    assert list(audit(rig.ledger, repair=False, progress=lambda _: None)) == []


@pytest.mark.parametrize("created", [BEFORE, AFTER])
def test_a_woken_worker_does_not_write_over_one_that_is_at_the_same_step(
    rig: Rig, created: str, tmp_path: Path
) -> None:
    """The other worker has taken over the step and is in the middle of it."""
    order = bottomless(rig.simulator, rig.order(created))
    with two(rig) as workers:
        frozen = workers.start(("after_call", 2), signal.SIGSTOP, log=tmp_path / "frozen.log")
        refund_id = rig.request(order)
        until(lambda: _effects(order))
        until(lambda: _is_stopped(frozen))
        other = workers.start(("after_intent", 1), signal.SIGSTOP)
        until(lambda: _is_stopped(other))
        written = rig.ledger.history(refund_id)
        _wake(frozen)
        until(lambda: _lease_lost_in(tmp_path / "frozen.log"))
        assert rig.ledger.history(refund_id) == written
        _wake(other)
        workers.ends(refund_id, END[created])
    assert _effects(order) == 1
    assert list(audit(rig.ledger, repair=False, progress=lambda _: None)) == []


def _wake(stopped: BaseProcess) -> None:
    assert stopped.pid
    os.kill(stopped.pid, signal.SIGCONT)


def _is_stopped(one: BaseProcess) -> bool:
    """Whether the process is stopped, according to the system."""
    asked = ["ps", "-o", "stat=", "-p", str(one.pid)]
    return subprocess.run(asked, capture_output=True, text=True, check=False).stdout[:1] == "T"


def _outcomes(rig: Rig) -> list[dict[str, Any]]:
    return [event for _, event in read(rig.redis, rig.settings.namespace)]


def _lease_lost_in(log: Path) -> list[str]:
    """Return the refunds whose steps lost their lease, according to this log."""
    logged = [json.loads(line) for line in log.read_text().splitlines()]
    return [line["refund_id"] for line in logged if line["event"] == "step.lease_lost"]


def _let_it_run(rig: Rig, woken: BaseProcess, workers: Two) -> None:
    """Wait until the woken worker has finished another refund, so the frozen step is over."""
    other = workers.started[-1]
    child.end(other)
    assert woken.is_alive()
    refund_id = rig.request(rig.order(BEFORE))
    workers.ends(refund_id, State.CANCELLED)
    assert woken.pid
    os.kill(woken.pid, signal.SIGTERM)
    woken.join(PATIENCE_S)
    assert woken.exitcode == 0
