"""A sample of the fault matrix, which a seed chooses; `make faults` runs all of it."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.chaos.bench import HARMS, Point, Result
from tests.chaos.matrix import (
    ALWAYS,
    CHANGES,
    HARMS_AT_PLACES,
    SHARE,
    matrix,
    sample,
    summary,
    table,
)
from tests.chaos.scenes import SCENES

#: The same sample in every run.
SEED = 12


@pytest.fixture(scope="module")
def results() -> list[Result]:
    """Commands and calls of a refund, with each harm, for each kind of refund."""
    return matrix(seed=SEED, workers=6)


def test_no_refund_is_lost_doubled_or_stuck_under_any_single_fault(results: list[Result]) -> None:
    """By Wix's own records."""
    result = summary(results, SEED)
    assert (result["lost"], result["doubled"], result["stuck"]) == (0, 0, 0)


def test_the_harms_really_happened(results: list[Result]) -> None:
    """All but a few: a point of a run without harm may not occur again."""
    struck = [result for result in results if result.struck]
    assert len(struck) > 0.9 * len(results)
    seen = {(r.point.kind, r.point.harm) for r in struck}
    assert {(kind, harm) for kind in ALWAYS for harm in HARMS} <= seen
    assert {(at, harm) for harm, places in HARMS_AT_PLACES.items() for at in places} <= seen
    changes = {(r.point.scene, r.point.harm) for r in struck if r.point.kind in CHANGES.values()}
    assert changes == {(scene, harm) for scene in SCENES for harm in HARMS}
    assert {(r.point.scene, r.point.server, r.point.harm) for r in struck} >= {
        (scene, server, harm) for scene in SCENES for server in ("redis", "wix") for harm in HARMS
    }


def test_the_table_has_a_row_for_each_refund_and_server(results: list[Result]) -> None:
    """As it is written into the README."""
    rows = table(results)
    assert all(f"| {scene} | {server} |" in rows for scene in SCENES for server in ("redis", "wix"))


def test_what_the_matrix_must_strike_is_in_every_sample() -> None:
    """Whatever the seed: each harm at each kind that always occurs, and at each server."""
    redis = [("redis", f"command {n}") for n in range(9)] + [("redis", kind) for kind in ALWAYS[:3]]
    wix = [("wix", f"call {n}") for n in range(10)] + [("wix", ALWAYS[3])]
    found = [
        Point(scene, server, kind, nth, harm)
        for scene in SCENES
        for server, kind in [*redis, *wix, ("wix", CHANGES[scene])]
        for nth in (1, 2, 3)
        for harm in HARMS
    ]
    for seed in range(20):
        drawn = set(sample(found, seed))
        assert len(drawn) == len(found) / SHARE
        first = Counter((p.kind, p.harm) for p in drawn if p.nth == 1 and p.kind in ALWAYS)
        assert all(first[kind, harm] >= 2 for kind in ALWAYS for harm in HARMS)
        assert {(p.scene, p.server, p.harm) for p in drawn} == {
            (scene, server, harm)
            for scene in SCENES
            for server in ("redis", "wix")
            for harm in HARMS
        }
