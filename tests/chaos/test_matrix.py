"""The whole fault matrix, as `make faults` runs it."""

from __future__ import annotations

from tests.chaos.matrix import FLOWS, PLACES, matrix, summary, table
from tests.chaos.proxy import HARMS


def test_no_refund_is_lost_doubled_or_stuck_under_any_single_fault() -> None:
    """Every command and call that a refund makes, under every harm, for both flows."""
    results = matrix(third=None, workers=4)
    told = summary(results, None)
    assert (told["lost"], told["doubled"], told["stuck"]) == (0, 0, 0)
    # The harms really happened: a few points of an undisturbed run may not come up again.
    struck = [result for result in results if result.struck]
    assert len(struck) > 0.9 * len(results)
    seen = {(r.point.flow, r.point.kind, r.point.harm) for r in struck}
    for flow in FLOWS:
        for kind in ("accept", "claim", "settle", "fetch steps", "fetch refunds"):
            assert {(flow, kind, harm) for harm in HARMS} <= seen
        assert {(flow, place, "killed") for place in PLACES} <= seen
    assert "| standard | wix |" in table(results)
