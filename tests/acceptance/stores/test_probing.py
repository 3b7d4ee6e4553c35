"""Probes ask Wix again about suspended stores, at growing intervals, and only read."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest

from statemachine.flows import State
from tests.support.rig import AFTER, BEFORE, KEY, STORE_ID, settings_for
from tests.support.stores_rig import StoresRig, lines
from worker.simulator import Fault, Simulator
from worker.simulator.contract.routes import ALL_SCOPES, BILLING


@pytest.fixture
def rig(redis_url: str) -> Iterator[StoresRig]:
    """A worker with one store."""
    rig = StoresRig(settings_for(redis_url), Simulator())
    yield rig
    rig.redis.close()
    rig.broker.client.close()


def test_a_probe_resumes_a_store_whose_key_works_again(rig: StoresRig, log: io.StringIO) -> None:
    """With one log line and one outcome."""
    rig.simulator.revoke_key(KEY)
    refund_id = rig.request(rig.order(AFTER))
    rig.run_until_idle()
    rig.prober().turn(lambda: False)
    assert rig.stores.find(STORE_ID).state == "suspended"
    rig.simulator.keys[KEY].revoked = False
    rig.probe()
    rig.run_until_idle()
    assert rig.load(refund_id).state is State.REFUNDED
    assert rig.outcomes("store.resumed")[0]["data"]["by"] == "probe"
    assert [line["event"] for line in lines(log)].count("store.resumed") == 1


def _about(wait_ms: int, expected_ms: int) -> bool:
    return expected_ms - 5_000 < wait_ms <= expected_ms


def test_probes_come_at_growing_intervals_up_to_the_cap(rig: StoresRig) -> None:
    """One minute, two, four, ... one hour."""
    rig.simulator.revoke_key(KEY)
    rig.request(rig.order(AFTER))
    rig.run_until_idle()
    assert _about(rig.wait_for_probe_ms(), 60_000)
    for minutes in (2, 4, 8, 16, 32, 60, 60):
        rig.probe()
        assert _about(rig.wait_for_probe_ms(), minutes * 60_000)


def test_a_failure_of_wix_says_nothing_about_the_key(rig: StoresRig) -> None:
    """The store is not resumed, and the interval does not grow."""
    rig.simulator.revoke_key(KEY)
    rig.request(rig.order(AFTER))
    rig.run_until_idle()
    rig.simulator.keys[KEY].revoked = False
    rig.simulator.script(Fault("status", "*", status=503, times=2))
    for _ in range(2):
        rig.probe()
        assert rig.stores.find(STORE_ID).state == "suspended"
        assert _about(rig.wait_for_probe_ms(), 60_000)


def test_a_probe_does_not_need_the_billing_right(rig: StoresRig) -> None:
    """With a new key that lacks it, cancellations continue; the other refunds need a person."""
    rig.run(rig.order(AFTER))
    refund_id = rig.request(rig.order(AFTER))
    rig.run_one_step()
    rig.simulator.set_flags(revoked_key="403")
    rig.simulator.revoke_key(KEY)
    rig.run_until_idle()
    assert rig.stores.find(STORE_ID).state == "suspended"
    rig.simulator.keys[KEY].revoked = False
    rig.simulator.change_key(KEY, scopes=ALL_SCOPES - {BILLING})
    rig.probe()
    rig.run_until_idle()
    assert rig.stores.find(STORE_ID).state == "given"
    assert rig.load(refund_id).reason["reason"] == "scope_missing"
    assert rig.run(rig.order(BEFORE)).state is State.CANCELLED


def test_a_stopping_worker_sends_no_more_probes(rig: StoresRig) -> None:
    """The next leader sends them."""
    rig.simulator.revoke_key(KEY)
    rig.request(rig.order(AFTER))
    rig.run_until_idle()
    rig.redis.zadd(rig.key("probes"), {STORE_ID: 1})
    calls = len(rig.simulator.calls)
    rig.prober().turn(lambda: True)
    assert len(rig.simulator.calls) == calls
