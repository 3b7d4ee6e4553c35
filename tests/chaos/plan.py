"""The plan of a chaos run: what happens when. It depends on the seed alone."""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping
from typing import NamedTuple

#: Jobs and disturbances come in this share of the run; the rest is for finishing.
STORM_SHARE = 0.85
#: Refunds in a run of five minutes; a shorter one has proportionally fewer.
REFUNDS = 2_400
#: When this version is deployed beside the older one, and when the older one is stopped: shares of
#: the storm.
DEPLOYED_AT, RETIRED_AT = 0.05, 0.25
#: What leaves out the older version, and what leaves out the cells.
OLDER, CELLS = "older", "cells"
#: How many cells there are, one number after the other.
NUMBERS_OF_CELLS = (1, 2, 3)


class Disturbance(NamedTuple):
    """One kind of disturbance."""

    usual: int
    """How often in a run of five minutes."""
    least: int
    """How often in the shortest run."""
    text: str
    """What it is, after a number."""
    suits_older: bool = False
    """Whether it may happen while the older version runs: that one survives it, too."""
    last: float = 1.0
    """The share of the storm by which the last one begins."""
    is_fixed: bool = False
    """Whether it happens as often in a run of any length."""


DISTURBANCES: Mapping[str, Disturbance] = {
    "kill": Disturbance(40, 3, "kills of a worker", suits_older=True),
    "restart": Disturbance(3, 1, "restarts of the server", suits_older=True),
    "server_kill": Disturbance(3, 1, "kills of the server"),
    "crash": Disturbance(4, 1, "crashes of its machine that take the last second"),
    "failover": Disturbance(3, 1, "failovers to a replica a second behind"),
    "step": Disturbance(4, 1, "steps of its clock by an hour"),
    "blackout": Disturbance(8, 1, "blackouts of the link to Wix"),
    "freeze": Disturbance(1, 1, "freeze of a worker"),
    # Last, so that the others happen at the same times with and without it.
    CELLS: Disturbance(
        len(NUMBERS_OF_CELLS) - 1, 1, "times more cells, during a crash", last=0.6, is_fixed=True
    ),
}


def has_cells(seed: int) -> bool:
    """Return whether stores are spread over cells: in three of nine seeds, in a row."""
    return seed // 3 % 3 == 0


class Action(NamedTuple):
    """Something that happens, and when after the start."""

    at_s: float
    what: str
    size: float = 0.0
    """Random, from 0 to 1, without 1: how long it lasts, or whom it hits."""


def plan(seed: int, minutes: float, without: Collection[str] = ()) -> list[Action]:
    """Return all jobs and disturbances but those that are left out."""
    chance = random.Random(seed)  # noqa: S311 - repeatable on purpose
    share, storm_s = minutes / 5, minutes * 60 * STORM_SHARE
    jobs = max(40, round(REFUNDS * share))
    actions = [Action(storm_s * n / jobs, "job") for n in range(jobs)]
    begins = 0.0
    if OLDER not in without:
        begins = RETIRED_AT
        actions += [Action(storm_s * DEPLOYED_AT, "deploy"), Action(storm_s * RETIRED_AT, "retire")]
    for what, disturbance in DISTURBANCES.items():
        count = max(disturbance.least, round(disturbance.usual * share))
        count = disturbance.usual if disturbance.is_fixed else count
        first = 0.02 if disturbance.suits_older else begins + 0.05
        # Drawn even if it is left out, so that the others stay where they are.
        drawn = [
            Action(chance.uniform(first, disturbance.last) * storm_s, what, chance.random())
            for _ in range(count)
        ]
        actions += [] if what in without else drawn
    return sorted(actions)
