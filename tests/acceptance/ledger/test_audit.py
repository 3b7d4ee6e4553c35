"""Every refund is in exactly one place; what is not is found and repaired."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest

from statemachine.flows import State
from tests.support.rig import AFTER, ANN, BEFORE, STORE_ID, Rig
from worker.operations.audit import COMPARED, Problem, against_wix, audit
from worker.operations.doctor import examine
from worker.simulator import Fault


def _audit(rig: Rig, *, repair: bool = False) -> dict[str, str]:
    seen: list[int] = []
    found = {
        p.refund_id: p.problem
        for p in audit(rig.ledger, repair=ANN if repair else None, progress=seen.append)
    }
    assert sum(seen) >= rig.ledger.count()
    return found


def _accepted(rig: Rig, refund_id: str = "rf-1") -> str:
    """Accept a job; return the refund, whose first step is queued."""
    rig.request(rig.order(AFTER), refund_id)
    rig._one("refunds")
    return refund_id


def test_a_healthy_ledger_has_no_problem(rig: Rig) -> None:
    """Queued, waiting, dead, rejected and finished refunds are each in their one place."""
    rig.simulator.script(Fault("status", "get_order", status=501))
    rig.run(rig.order(AFTER))
    rig.run(rig.order(BEFORE))
    rig.run(rig.order(BEFORE, status="PENDING"))
    rig.simulator.set_flags(provider_ms=10**9)
    rig.request(rig.order(AFTER))
    rig.run_queued()
    for n in range(rig.settings.lane_width + 2):
        _accepted(rig, f"rf-{n}")
    assert _audit(rig) == {}


def _lose_the_slot(rig: Rig) -> None:
    rig.redis.delete(rig.key("busy", STORE_ID))


def _lose_the_message(rig: Rig) -> None:
    rig.redis.delete(rig.key("steps"), rig.key("steps.msgs"))


def _queue_twice(rig: Rig) -> None:
    rig.redis.zadd(rig.key("due"), {"rf-1": 1})


def _lose_the_index(rig: Rig) -> None:
    rig.redis.delete(rig.key("state", "accepted"))


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (_lose_the_slot, "nowhere"),
        (_lose_the_message, "forgotten"),
        (_queue_twice, "in several places"),
        (_lose_the_index, "not listed under its state"),
    ],
)
def test_every_damage_is_named_repaired_and_the_refund_ends(
    rig: Rig, damage: Callable[[Rig], None], problem: str
) -> None:
    """The audit finds it once, repairs it, and does not find it again."""
    refund_id = _accepted(rig)
    damage(rig)
    assert _audit(rig) == {refund_id: problem}
    assert _audit(rig, repair=True) == {refund_id: problem}
    assert _audit(rig) == {}
    rig.run_until_idle()
    assert rig.load(refund_id).state is State.REFUNDED
    assert _audit(rig) == {}


def test_stale_entries_of_an_index_are_removed(rig: Rig) -> None:
    """Neither a finished refund nor an unknown id may be due."""
    refund = rig.run(rig.order(AFTER))
    rig.redis.zadd(rig.key("due"), {refund.refund_id: 1, "ghost": 1})
    found = {refund.refund_id: "ended, but still queued", "ghost": "no record"}
    assert _audit(rig, repair=True) == found
    assert _audit(rig) == {}


def test_a_dead_letter_that_is_not_listed_is_listed_again(rig: Rig) -> None:
    """A person must be able to find it."""
    rig.simulator.script(Fault("status", "get_order", status=501))
    refund = rig.run(rig.order(AFTER))
    rig.redis.delete(rig.key("dead"))
    assert _audit(rig, repair=True) == {refund.refund_id: "dead, but not listed"}
    assert _audit(rig) == {}


def _compare(rig: Rig) -> list[Problem]:
    finished = [r for state in COMPARED for r in rig.ledger.newest(state=state, limit=10)]
    return list(
        against_wix(
            iter(finished),
            keyring=rig.steps.keyring,
            stores=rig.stores,
            wix=rig.steps.wix,
            per_s=10_000,
            progress=lambda _: None,
        )
    )


def test_finished_refunds_are_compared_with_wix(rig: Rig) -> None:
    """What our records say is what Wix's records show."""
    standard, cancelled = rig.order(AFTER), rig.order(BEFORE)
    refund, cancel = rig.run(standard), rig.run(cancelled)
    assert _compare(rig) == []
    standard.refunds.append({**standard.refunds[0], "id": "another"})
    cancelled.status = "APPROVED"
    found = {problem.refund_id: problem.problem for problem in _compare(rig)}
    assert found == {
        refund.refund_id: "Wix shows 2 refunds with our fingerprint, not one",
        cancel.refund_id: "Wix shows the order as APPROVED",
    }
    del rig.simulator.orders[cancelled.id]
    standard.refunds[:] = [copy.deepcopy(standard.refunds[0])]
    standard.refunds[0]["transactions"][0]["amount"]["amount"] = "101.4"
    assert refund.refund_id not in {problem.refund_id for problem in _compare(rig)}
    standard.refunds[0]["transactions"][0]["amount"]["amount"] = "1.00"
    found = {problem.refund_id: problem.problem for problem in _compare(rig)}
    assert found[refund.refund_id] == "Wix shows a total of 1.00, not 101.40"
    standard.refunds[:] = [dict(standard.refunds[0])]
    standard.refunds[0]["transactions"][0]["refundStatus"] = "FAILED"
    found = {problem.refund_id: problem.problem for problem in _compare(rig)}
    assert found[refund.refund_id] == "Wix shows the refund as FAILED"
    assert "ORDER_NOT_FOUND" in found[cancel.refund_id]
    rig.simulator.stores.clear()
    assert all("cannot be compared" in problem.problem for problem in _compare(rig))


def test_voids_and_manual_refunds_are_compared_too(rig: Rig) -> None:
    """Nothing was paid, or the refund was only recorded: Wix's records show that as well."""
    rig.simulator.set_flags(authorization_ms=0)
    voided = rig.order(AFTER, payments=[{"amount": "20.00", "authorized": True}])
    offline = rig.order(AFTER, payments=[{"amount": "5.00", "offline": True}])
    void = rig.run(voided)
    recorded = rig.run(offline, manual_payments="record")
    assert (void.state, recorded.state) == (State.VOIDED, State.REFUNDED)
    assert _compare(rig) == []
    voided.payments[0].voided = voided.payments[0].authorized = False
    assert _compare(rig) == [Problem(void.refund_id, "Wix shows the payments as APPROVED")]


def test_a_right_server_is_fit(rig: Rig) -> None:
    """The suite's own server passes every check."""
    findings = examine(rig.broker.client, namespace=rig.settings.namespace)
    assert [f.check for f in findings] == [
        "reachable", "version", "memory", "persistence", "replicas", "clock", "scripts", "writes",
        "latency",
    ]  # fmt: skip
    assert {f.level for f in findings} <= {"ok", "warning"}


def test_a_wrong_clock_is_refused(rig: Rig) -> None:
    """More than five seconds of difference are too much."""
    clock = {
        f.check: f
        for f in examine(rig.broker.client, namespace=rig.settings.namespace, now=lambda: 0.0)
    }["clock"]
    assert clock.level == "refused"
    assert "run NTP" in clock.text


class _Server:
    """A server with other properties than the real one."""

    def __init__(self, rig: Rig, **info: object) -> None:
        self._rig, self._info = rig, info

    def info(self) -> dict[str, object]:
        """Return the server's properties with our changes."""
        return {**self._rig.redis.info(), **self._info}

    def __getattr__(self, name: str) -> object:
        return getattr(self._rig.redis, name)


@pytest.mark.parametrize(
    ("info", "check", "level"),
    [
        ({"maxmemory_policy": "allkeys-lru"}, "memory", "refused"),
        ({"aof_enabled": 0}, "persistence", "warning"),
        ({"redis_version": "5.0.7"}, "version", "refused"),
    ],
)
def test_an_unfit_server_is_found(
    rig: Rig, info: dict[str, object], check: str, level: str
) -> None:
    """Each finding has its level."""
    findings = examine(_Server(rig, **info), namespace="refunds")  # type: ignore[arg-type]  # a client with one change
    assert {f.check: f.level for f in findings}[check] == level
