"""The cutoff is changed while refunds are in flight."""

from __future__ import annotations

from statemachine.flows import State
from tests.support.rig import AFTER, Rig
from worker.app import membership_from
from worker.operations.finding import Finding
from worker.operations.installation import Membership


def _member(rig: Rig, **settings: object) -> Membership:
    """Return the membership of a program on this machine in the same ledger."""
    given = rig.settings.model_copy(update=settings)
    return membership_from(given, rig.broker.client)


def test_a_chosen_flow_outlives_a_change_of_the_cutoff(rig: Rig) -> None:
    """Also through a dead letter and its replay; a refund without a flow gets the new one."""
    ids = [rig.request(rig.order(AFTER)) for _ in range(3)]
    for _ in ids:
        rig._one("refunds")
    for _ in ids[:2]:
        rig._one("steps")
    later = rig.settings.model_copy(update={"cutoff": rig.settings.cutoff.replace(year=2030)})
    moved = Rig(later, rig.simulator)
    dead = rig.load(ids[1])
    assert rig.stores.bury(dead, reason={"reason": "attempts_used_up"}, line={"event": "step.dead"})
    assert moved.replay(ids[1], operator="ann")
    moved.run_until_idle()
    assert [rig.load(each).state for each in ids] == [
        State.REFUNDED,
        State.REFUNDED,
        State.CANCELLED,
    ]
    moved.close()


def _cutoff(membership: Membership) -> list[Finding]:
    return [finding for finding in membership.findings() if finding.check == "cutoff"]


def test_a_changed_cutoff_is_reported_while_refunds_from_before_are_in_flight(rig: Rig) -> None:
    """At the worker's start, and by the doctor until the last of them has ended."""
    _member(rig).join()
    rig.request(rig.order(AFTER))
    rig._one("refunds")
    assert _cutoff(_member(rig)) == []
    changed = _member(rig, cutoff=rig.settings.cutoff.replace(year=2030))
    [at_start] = [f for f in changed.join().findings if f.check == "cutoff"]
    assert at_start.level == "warning"
    assert "2024-04-22T00:00:00+00:00 and is 2030-04-22T00:00:00+00:00; 1 refunds" in at_start.text
    assert len(_cutoff(changed)) == 1
    rig.run_until_idle()
    rig.request(rig.order(AFTER))
    rig._one("refunds")
    assert _cutoff(changed) == []
