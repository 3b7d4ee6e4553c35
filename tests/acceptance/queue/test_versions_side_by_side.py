"""The release before this one and this one, as programs on one server, as in a rolling deploy."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from statemachine.flows import State
from tests.chaos.bottomless import bottomless
from tests.support.ages import finished, keep
from tests.support.previous import PREVIOUS, ROOT, WHY_NOT, WITHOUT_TURNS, unpack_previous
from tests.support.processes import PATIENCE_S, environment_without_settings, wait_until
from tests.support.rig import AFTER, BEFORE, STORE_ID, Rig
from worker.operations.audit import audit
from worker.simulator import serve
from worker.simulator.world.orders import Order

from .test_recovery import Workers

END = {AFTER: State.REFUNDED, BEFORE: State.CANCELLED}


@pytest.fixture(scope="session", params=[PREVIOUS, WITHOUT_TURNS], ids=lambda commit: commit[:7])
def previous(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sources of an older version; it runs with the packages of this one."""
    folder = tmp_path_factory.mktemp("previous")
    if not unpack_previous(folder, request.param):
        pytest.skip(WHY_NOT)
    return folder


class Versions:
    """Worker programs of both versions."""

    def __init__(self, workers: Workers, previous: Path) -> None:
        self._environ = environment_without_settings() | workers.environ
        self._folders = {"previous": previous, "this": ROOT}
        self._running: list[subprocess.Popen[bytes]] = []

    def start(self, version: str) -> subprocess.Popen[bytes]:
        """Start a worker of one version; its sources come first on the path of its modules."""
        program = subprocess.Popen(
            (sys.executable, "-m", "worker"), cwd=self._folders[version], env=self._environ
        )
        self._running.append(program)
        return program

    def stop(self, program: subprocess.Popen[bytes]) -> None:
        """End it as a deploy does."""
        program.send_signal(signal.SIGTERM)
        assert program.wait(PATIENCE_S) == 0

    def kill_all(self) -> None:
        """End what a failed test left."""
        for program in self._running:
            program.kill()
            program.wait()


@pytest.fixture
def versions(rig: Rig, previous: Path) -> Iterator[Versions]:
    """Both versions, against the simulator over HTTP."""
    with serve(rig.simulator) as url:
        versions = Versions(Workers(rig, url), previous)
        yield versions
        versions.kill_all()


def _orders(rig: Rig, count: int) -> dict[str, Order]:
    """Ask for refunds of both flows."""
    found = {}
    for number in range(count):
        created = (AFTER, BEFORE)[number % 2]
        order = bottomless(rig.simulator, rig.order(created, fulfillments=number % 2))
        found[rig.request(order)] = order
    return found


def _all_in(rig: Rig, orders: dict[str, Order], *states: State) -> bool:
    found = [rig.ledger.load(refund_id) for refund_id in orders]
    return all(refund and refund.state in states for refund in found)


@pytest.mark.parametrize(("first", "then"), [("previous", "this"), ("this", "previous")])
def test_a_rolling_deploy_with_refunds_in_flight(
    rig: Rig, versions: Versions, first: str, then: str
) -> None:
    """Forward and back: each refund once, no repeat of a job is a conflict, nothing is stuck."""
    rig.simulator.set_flags(provider_ms=10**12)
    orders = _orders(rig, 6)
    old = versions.start(first)
    wait_until(lambda: _all_in(rig, orders, State.REFUND_SUBMITTED, State.CANCELLED))
    new = versions.start(then)
    orders |= _orders(rig, 6)
    for refund_id, order in orders.items():
        rig.request(order, refund_id)
    wait_until(lambda: _all_in(rig, orders, State.REFUND_SUBMITTED, State.CANCELLED))
    versions.stop(old)
    # The one that has stopped may have led, and its leadership ends late: the workers are STEADY.
    rig.redis.delete(rig.key("scheduler"))
    rig.simulator.set_flags(provider_ms=0)
    wait_until(lambda: _all_in(rig, orders, State.REFUNDED, State.CANCELLED))
    wait_until(lambda: not rig.redis.llen(rig.key("refunds")))
    versions.stop(new)
    assert [o.cancellations + len(o.refunds) for o in orders.values()] == [1] * len(orders)
    assert rig.broker.quarantined() == {}
    assert list(audit(rig.ledger, repair=None, progress=lambda _: None)) == []


@pytest.mark.parametrize("previous", [PREVIOUS], indirect=True)
def test_a_job_that_the_previous_version_masked_is_known_again(
    rig: Rig, versions: Versions
) -> None:
    """Its digest covered the masked text; a job with other content is still a conflict."""
    masked: dict[str, Any] = {
        "metadata": {"checkout_token": "c-81", "note": "ask ann@example.org first", "box": "7"},
        "reason": "asked by root@localhost twice",
        "requested_by": "desk",
    }
    order = bottomless(rig.simulator, rig.order(AFTER))
    refund_id = rig.request(order, **masked)
    old = versions.start("previous")
    wait_until(lambda: _all_in(rig, {refund_id: order}, State.REFUNDED))
    versions.stop(old)
    stored = rig.load(refund_id).request.metadata
    assert (stored["checkout_token"], "ann" in stored["note"]) == ("[redacted]", False)
    rig.request(order, refund_id, **masked)
    rig.request(order, refund_id, **masked | {"requested_by": "shop"})
    rig.run_queued()
    assert [letter["reason"] for letter in rig.broker.quarantined().values()] == ["conflict"]
    assert len(order.refunds) == 1


def test_an_older_version_continues_what_waits_for_a_turn(rig: Rig, versions: Versions) -> None:
    """As after a deploy that was taken back: it knows nothing of the ring."""
    orders = _orders(rig, 6)
    rig.redis.delete(rig.key("idle"))
    while rig.redis.llen(rig.key("refunds")):
        rig._one("refunds")
    assert rig.redis.zcard(rig.key("lane", STORE_ID)) == len(orders)
    old = versions.start("previous")
    wait_until(lambda: _all_in(rig, orders, State.REFUNDED, State.CANCELLED))
    versions.stop(old)
    assert [o.cancellations + len(o.refunds) for o in orders.values()] == [1] * len(orders)


def test_this_version_continues_what_an_older_one_lined_up(rig: Rig, versions: Versions) -> None:
    """It stands in no ring; the first reconcile puts it there."""
    orders = _orders(rig, 6)
    rig.redis.delete(rig.key("idle"))
    while rig.redis.llen(rig.key("refunds")):
        rig._one("refunds")
    rig.redis.delete(rig.key("ring"), rig.key("round"))
    new = versions.start("this")
    wait_until(lambda: _all_in(rig, orders, State.REFUNDED, State.CANCELLED))
    versions.stop(new)
    assert [o.cancellations + len(o.refunds) for o in orders.values()] == [1] * len(orders)


def test_an_older_version_takes_a_tombstone_for_a_known_refund(
    rig: Rig, versions: Versions, tmp_path: Path
) -> None:
    """As after a deploy that was taken back: it asks a person, refunds nothing, and goes on."""
    order = bottomless(rig.simulator, rig.order(AFTER))
    refund_id = finished(rig, order=order)
    keep(rig, tmp_path)
    left = rig.redis.hgetall(rig.key("refund", refund_id))
    rig.request(order, refund_id)
    other = _orders(rig, 2)
    old = versions.start("previous")
    wait_until(lambda: _all_in(rig, other, State.REFUNDED, State.CANCELLED))
    wait_until(rig.broker.quarantined)
    versions.stop(old)
    letters = rig.broker.quarantined()
    assert [letter["reason"] for letter in letters.values()] == ["conflict"]
    assert (rig.redis.hgetall(rig.key("refund", refund_id)), len(order.refunds)) == (left, 1)
    assert rig.problems() == []
    rig.request(order, refund_id)
    rig.run_queued()
    assert rig.broker.quarantined() == letters
