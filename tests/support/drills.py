"""What happens in each example of the runbook before its commands, and between them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tests.support.drill_world import DrillWorld

Act = Callable[[DrillWorld], object]


@dataclass(frozen=True, kw_only=True)
class Drill:
    """One example."""

    begin: Act
    before: Mapping[str, Act] = field(default_factory=dict)
    """What happens right before a command, by the beginning of its text."""

    def before_command(self, command: str, world: DrillWorld) -> None:
        """Let happen what comes before a command."""
        for beginning, act in self.before.items():
            if command.startswith(beginning):
                act(world)


def _revoked_key(world: DrillWorld) -> None:
    world.connect_stores(2)
    for number in range(1, 4):
        world.request(number)
    world.request(4, store=2)


def _key_is_back(world: DrillWorld) -> None:
    world.rig.probe()
    world.work_for_hours()


DRILLS: Mapping[str, Drill] = {
    "revoked-key": Drill(
        begin=_revoked_key,
        before={
            "refunds status": DrillWorld.work,
            "refunds stores list": DrillWorld.work,
        },
    ),
}
