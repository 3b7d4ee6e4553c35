"""`dead replay --dry-run` names what the money guards would hold, and changes nothing."""

from __future__ import annotations

from statemachine.flows import State
from tests.support.guards import counted, guarded
from tests.support.letters import desk_of
from tests.support.rig import AFTER, BEFORE, Rig
from worker.operations.acts.dry_run import APPROVAL, foresee, summary
from worker.simulator import Fault


def _dead(rig: Rig, amount: str = "", created: str = AFTER) -> str:
    job = {"amount": amount, "currency": "USD"} if amount else {}
    rig.simulator.script(Fault("status", "get_order", status=501))
    refund_id = rig.run(rig.order(created), **job).refund_id
    assert rig.load(refund_id).state is State.DEAD
    return refund_id


def test_a_dry_run_names_what_would_need_an_approval(redis_url: str) -> None:
    """Of a refund and of a cancellation, which counts with what the order had taken."""
    with guarded(redis_url, refund="50 USD", store_day="5 refunds") as rig:
        letters = _dead(rig, "20.00"), _dead(rig, "60.00"), _dead(rig, "", BEFORE)
        desk = desk_of(rig)
        found = [foresee(rig.load(each), desk, rig.ledger.now_ms()) for each in letters]
        assert [one.public()["needs_approval"] for one in found] == [
            None,
            "60.00 USD is more than 50.00 USD per refund",
            "101.40 USD is more than 50.00 USD per refund",
        ]
        assert summary(found)[-1] == f"2 of these {APPROVAL}"
        assert counted(rig) == (0, 0)
        assert [rig.load(each).state for each in letters] == [State.DEAD] * 3
