"""What the server may forget, and replicas that are asked for the intent before a call."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import redis
from pydantic import SecretStr

from statemachine.flows import State, Transition
from tests.support.rig import AFTER, BEFORE, Rig
from worker.app import build
from worker.demo.embedded import embedded_server
from worker.ledger.overview import Overview
from worker.operations.doctor import examine
from worker.operations.persistence import are_confirming, persistence, replicas
from worker.operations.status import status
from worker.operations.unconfirmed import COUNTER, unconfirmed_needs, unconfirmed_of


@dataclass
class Copy:
    """A replica of the suite's server."""

    client: redis.Redis
    primary: redis.Redis

    def stop_following(self) -> None:
        """Stop replicating."""
        self.client.replicaof("NO", "ONE")

    def follow(self) -> None:
        """Replicate again; returns when the replica is up to date."""
        port = self.primary.connection_pool.connection_kwargs["port"]
        self.primary.config_set("repl-diskless-sync-delay", 0)
        self.client.replicaof("127.0.0.1", port)
        for _ in range(20):
            pipe: Any = self.primary.pipeline(transaction=False)
            pipe.incr("replicated")
            pipe.execute_command("WAIT", 1, 1_000)
            if pipe.execute()[1] == 1:
                return
        raise AssertionError("the replica does not follow")


@pytest.fixture
def copy(rig: Rig) -> Iterator[Copy]:
    """A second server that replicates the first."""
    with embedded_server() as url:
        replica = Copy(redis.Redis.from_url(url, decode_responses=True), rig.redis)
        replica.follow()
        yield replica
        replica.stop_following()


def _asking(rig: Rig, **asked: object) -> Rig:
    """Return a worker that waits for replicas to confirm the intent."""
    return Rig(rig.settings.model_copy(update=asked), rig.simulator)


@pytest.mark.usefixtures("copy")
@pytest.mark.parametrize("created", [BEFORE, AFTER])
def test_a_refund_finishes_when_the_replica_confirms(rig: Rig, created: str) -> None:
    """Each mutating call needs a confirmation of its own."""
    asking = _asking(rig, redis_wait_replicas=1)
    refund = asking.run(rig.order(created))
    assert refund.state in (State.CANCELLED, State.REFUNDED)
    # One of the worker, when it came, and one of the intent.
    assert int(rig.redis.get(rig.key("confirmations")) or 0) == 2
    asking.close()


@pytest.mark.parametrize("options", ["", "?socket_timeout=1"])
def test_no_call_is_made_while_too_few_replicas_confirm(
    rig: Rig, copy: Copy, redis_url: str, options: str
) -> None:
    """The refund waits, no attempt is used up, and no effect is in doubt.

    A client that waits for a second must not take the silence of the replicas for the server's.
    """
    copy.stop_following()
    asking = _asking(rig, redis_wait_replicas=1, redis_url=SecretStr(redis_url + options))
    refund_id = asking.request(rig.order(AFTER))
    asking.run_queued()
    refund = rig.load(refund_id)
    assert (refund.state, refund.attempt, refund.intent_at_ms) == (State.REFUNDABLE, 0, 0)
    assert "too few replicas" in rig.ledger.history(refund_id)[-1]["why"]
    assert "submit_refund" not in [call["endpoint"] for call in rig.simulator.calls]
    asking.broker.beat()
    minutes = Overview(rig.redis, namespace=rig.settings.namespace).read(minutes=2)["minutes"]
    assert sum(int(minute.get(COUNTER, 0)) for minute in minutes) == 1
    copy.follow()
    asking.run_until_idle()
    assert rig.load(refund_id).state is State.REFUNDED
    asking.close()


@pytest.mark.parametrize(
    ("counts", "told"), [([9, 0, 0, 4], 0), ([1, 0, 2, 4], 6), ([3, 4, 0], 7), ([5], 0), ([], 0)]
)
def test_intents_that_replicas_go_on_missing_need_a_person(counts: list[int], told: int) -> None:
    """In two of the last three minutes: a failover that has just been needs nobody."""
    minutes = [{COUNTER: str(count)} if count else {} for count in counts]
    assert unconfirmed_of(minutes) == told
    assert [command for _, command in unconfirmed_needs(told)] == ["refunds doctor"] * bool(told)


def test_replicas_that_do_not_confirm_are_told(rig: Rig, copy: Copy) -> None:
    """One that is connected may be too slow: no call is made, and nothing else says why."""
    assert are_confirming(rig.redis, rig.settings.namespace, 1)
    copy.stop_following()
    assert not are_confirming(rig.redis, rig.settings.namespace, 1)
    info = {"connected_slaves": 1, "min_slaves_good_slaves": 1, "slave0": _STEPS}
    [found] = replicas(info, 1, confirm=False)
    assert found.level == "warning"
    assert "confirm a write within 2 s: nothing is changed at Wix until more do" in found.text


def test_a_primary_without_the_replicas_that_it_demands_is_told(rig: Rig, copy: Copy) -> None:
    """No worker can write its heartbeat then: all look dead, and to start one helps nobody."""
    copy.stop_following()
    copy.primary.config_set("min-replicas-to-write", 1)
    try:
        told = status(rig.redis, rig.settings.namespace, dead_after_ms=60_000, settle_delay_ms=1)
    finally:
        copy.primary.config_set("min-replicas-to-write", 0)
    assert "accepts no writes" in told["needs"][0]["text"]
    assert told["needs"][0]["command"] == "refunds doctor"


def test_doctor_says_all_it_knows_of_a_server_that_accepts_no_writes(rig: Rig, copy: Copy) -> None:
    """Whether replicas confirm cannot be tried then; everything else is still found out."""
    copy.stop_following()
    copy.primary.config_set("min-replicas-to-write", 1)
    try:
        found = {f.check for f in examine(rig.redis, 1, namespace=rig.settings.namespace)}
    finally:
        copy.primary.config_set("min-replicas-to-write", 0)
    assert {"version", "memory", "persistence", "clock"} <= found


class _Managed:
    """A server that refuses CONFIG, as managed ones do, or has the given policy."""

    def __init__(self, policy: str = "") -> None:
        self._policy = policy

    def config_get(self, name: str) -> dict[str, str]:
        """Return the policy, if there is one."""
        if not self._policy:
            raise redis.ResponseError(f"unknown command CONFIG {name}")
        return {name: self._policy}


@pytest.mark.parametrize(
    ("aof", "policy", "level", "text"),
    [
        (1, "always", "ok", "nothing that was acknowledged is lost"),
        (1, "everysec", "ok", "may lose the last second; after one, nothing is changed at Wix"),
        (1, "no", "warning", "may lose the last half minute"),
        (1, "", "warning", "does not show appendfsync"),
        (0, "always", "warning", "the append-only file is off"),
    ],
)
def test_doctor_says_what_a_crash_may_lose(aof: int, policy: str, level: str, text: str) -> None:
    """A policy that the server hides is not trusted."""
    found = persistence(_Managed(policy), {"aof_enabled": aof})  # type: ignore[arg-type]  # one method
    assert (found.level, text in found.text) == (level, True)


_STEPS = {"ip": "127.0.0.1", "port": 1, "state": "online", "offset": 1, "lag": 1}


@pytest.mark.parametrize(
    ("connected", "asked", "level", "text"),
    [
        (0, 0, "ok", "none connected"),
        (0, 1, "warning", "nothing is changed at Wix until there are more"),
        (1, 0, "warning", "may have missed the last writes"),
        (2, 1, "warning", "only REFUNDS_REDIS_WAIT_REPLICAS=2 prevents that"),
        (2, 2, "ok", "2 of 2 have its intent: neither a failover nor an old primary refunds twice"),
    ],
)
def test_doctor_says_what_a_failover_may_lose(
    connected: int, asked: int, level: str, text: str
) -> None:
    """With and without waiting for replicas."""
    following = {f"slave{number}": _STEPS for number in range(connected)}
    info = {"connected_slaves": connected, "min_slaves_good_slaves": connected, **following}
    [found] = replicas(info, asked)
    assert (found.level, text in found.text) == (level, True)


@pytest.mark.parametrize(
    ("info", "text"),
    [
        ({"slave0": _STEPS}, "min-replicas-to-write is 0"),
        ({"slave0": _STEPS | {"lag": 11}, "min_slaves_good_slaves": 1}, "largest lag is 11 s"),
        ({"slave0": _STEPS | {"state": "wait_bgsave"}, "min_slaves_good_slaves": 1}, "1 of 1 are"),
    ],
)
def test_doctor_warns_of_replicas_that_are_not_in_step(info: dict[str, Any], text: str) -> None:
    """What they have missed is lost if one takes over."""
    _, found = replicas({"connected_slaves": 1, **info}, 1)
    assert (found.level, text in found.text) == ("warning", True)


def test_doctor_reads_a_real_primary(rig: Rig, copy: Copy) -> None:
    """The fields of INFO are those of the server, with and without the minimum."""
    findings = list(replicas(rig.redis.info(), 1))
    assert [f.text[:24] for f in findings][1:] == ["min-replicas-to-write is"]
    copy.primary.config_set("min-replicas-to-write", 1)
    try:
        [found] = replicas(rig.redis.info(), 1)
    finally:
        copy.primary.config_set("min-replicas-to-write", 0)
    assert found.level == "ok"


def test_the_setting_reaches_the_ledger(rig: Rig) -> None:
    """It is off by default."""
    app = build(rig.settings.model_copy(update={"redis_wait_replicas": 2}))
    refund_id = rig.request(rig.order(AFTER))
    rig.run_one_step()
    claim = rig.ledger.claim(refund_id, Transition.SUBMIT_REFUND, rig.delivery())
    assert claim.refund is not None
    assert rig.ledger.write_intent(claim, claim.refund, rig.delivery()).status == "written"
    assert app.ledger.write_intent(claim, claim.refund, rig.delivery()).status == "unconfirmed"
