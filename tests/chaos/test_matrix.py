"""The whole fault matrix, as `make faults` runs it."""

from __future__ import annotations

from tests.chaos.matrix import PLACES, matrix, summary, table
from tests.chaos.proxy import HARMS
from tests.chaos.scenes import SCENES


def test_no_refund_is_lost_doubled_or_stuck_under_any_single_fault() -> None:
    """Every command and call that a refund makes, under every harm, for every kind of refund."""
    results = matrix(third=None, workers=4)
    told = summary(results, None)
    assert (told["lost"], told["doubled"], told["stuck"]) == (0, 0, 0)
    # The harms really happened: a few points of an undisturbed run may not come up again.
    struck = [result for result in results if result.struck]
    assert len(struck) > 0.9 * len(results)
    seen = {(r.point.scene, r.point.kind, r.point.harm) for r in struck}
    for scene in SCENES:
        for kind in ("accept", "claim", "commit", "fetch steps", "fetch refunds"):
            assert {(scene, kind, harm) for harm in HARMS} <= seen
        assert {(scene, place, "killed") for place in PLACES} <= seen
    assert "| standard | wix |" in table(results)
