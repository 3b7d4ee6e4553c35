"""A third of the fault matrix, which a seed chooses; `make faults` runs all of it."""

from __future__ import annotations

from tests.chaos.bench import HARMS
from tests.chaos.matrix import PLACES, matrix, summary, table
from tests.chaos.scenes import SCENES

#: The same third in every run; it has each harm at each kind of command.
SEED = 12


def test_no_refund_is_lost_doubled_or_stuck_under_any_single_fault() -> None:
    """Commands and calls of a refund, with each harm, for each kind of refund."""
    results = matrix(third=SEED, workers=6)
    result = summary(results, SEED)
    assert (result["lost"], result["doubled"], result["stuck"]) == (0, 0, 0)
    # The harms really happened; a few points of a run without harm may not occur again.
    struck = [result for result in results if result.struck]
    assert len(struck) > 0.9 * len(results)
    seen = {(r.point.kind, r.point.harm) for r in struck}
    for kind in ("claim", "commit", "fetch steps"):
        assert {(kind, harm) for harm in HARMS} <= seen
    assert {(place, "killed") for place in PLACES} <= seen
    assert {(r.point.scene, r.point.server, r.point.harm) for r in struck} >= {
        (scene, server, harm) for scene in SCENES for server in ("redis", "wix") for harm in HARMS
    }
    assert "| standard | wix |" in table(results)
