"""What the payment provider does with a refund that Wix has accepted."""

from __future__ import annotations

import pytest

from statemachine.flows import State
from tests.support.rig import AFTER, Rig
from worker.refund.provider_codes import PROVIDER_CODES
from worker.refund.reasons import REASONS


@pytest.mark.parametrize(
    ("outcomes", "state", "reason"),
    [
        (("FAILED", "FAILED"), State.REJECTED, "refund_failed"),
        (("FAILED", "SUCCEEDED"), State.DEAD, "refund_mixed"),
    ],
)
def test_a_refusal_by_the_provider_is_reported(
    rig: Rig, outcomes: tuple[str, str], state: State, reason: str
) -> None:
    """If all parts failed, no money moved; if only some did, a person compares the amounts."""
    order = rig.order(AFTER, amounts=("20.00", "5.50"))
    for payment, outcome in zip(order.payments, outcomes, strict=True):
        payment.outcome = outcome
    refund = rig.run(order)
    assert (refund.state, refund.reason["reason"]) == (state, reason)
    assert "3025" in refund.reason["detail"]
    amounts = "paid 5.50 USD, failed 20.00 USD"
    assert (amounts in refund.reason["detail"]) == (reason == "refund_mixed")


@pytest.mark.parametrize("code", [*PROVIDER_CODES, "P-999"])
def test_the_providers_code_is_translated(rig: Rig, code: str) -> None:
    """With what a person can do; an unknown code is shown as it is."""
    order = rig.order(AFTER, payments=[{"amount": "9", "outcome": "FAILED", "reason_code": code}])
    reason = rig.run(order).reason
    known = PROVIDER_CODES.get(code)
    assert reason["detail"] == (f"{code}: {known.meaning}" if known else code)
    assert reason["remedy"] == (known or REASONS["refund_failed"]).remedy


def test_the_remedies_of_several_codes_are_all_given(rig: Rig) -> None:
    """Each once."""
    codes = ("3025", "3033", "3022")
    payments = [{"amount": "9", "outcome": "FAILED", "reason_code": code} for code in codes]
    reason = rig.run(rig.order(AFTER, payments=payments)).reason
    assert reason["detail"].count(": ") == 3
    remedies = {PROVIDER_CODES[code].remedy for code in codes}
    assert len(reason["remedy"]) == sum(map(len, remedies)) + 1


def test_waiting_for_the_provider_uses_up_no_attempts(rig: Rig) -> None:
    """However often we look."""
    clock = [1_000_000]
    rig.simulator.clock_ms = lambda: clock[0]
    rig.simulator.set_flags(provider_ms=60_000)
    refund_id = rig.request(rig.order(AFTER))
    rig.run_queued()
    for _ in range(7):
        assert rig.let_an_hour_pass() == 1
        rig.run_queued()
    assert rig.load(refund_id).state is State.REFUND_SUBMITTED
    assert rig.load(refund_id).attempts == 2
    clock[0] += 60_000
    rig.run_until_idle()
    assert rig.load(refund_id).state is State.REFUNDED


def test_a_provider_that_never_settles_needs_a_person(rig: Rig) -> None:
    """We do not wait forever."""
    rig.simulator.clock_ms = lambda: 1_000_000
    rig.simulator.set_flags(provider_ms=60_000)
    refund_id = rig.request(rig.order(AFTER))
    rig.run_queued()
    key = rig.key("refund", refund_id)
    facts = rig.redis.hget(key, "facts").replace('"waiting_since_ms":', '"waiting_since_ms":1,"x":')
    rig.redis.hset(key, "facts", facts)
    rig.run_until_idle()
    refund = rig.load(refund_id)
    assert (refund.state, refund.reason["reason"]) == (State.DEAD, "refund_not_settled")
