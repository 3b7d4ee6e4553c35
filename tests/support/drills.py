"""What happens in each example of the runbook before its commands, and between them."""

from __future__ import annotations

import copy
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.support.drill_world import DrillWorld, order_id, store_id
from tests.support.rig import KEY, STORE_ID

Act = Callable[[DrillWorld], object]

#: How many dead letters a bad deploy makes, and how many jobs are handled at a time.
MANY, AT_ONCE = 500, 100


@dataclass(frozen=True, kw_only=True)
class Drill:
    """One example."""

    begin: Act
    before: Mapping[str, Act] = field(default_factory=dict)
    """What happens right before each command that begins like this."""

    def before_command(self, command: str, world: DrillWorld) -> None:
        """Let happen what comes before a command."""
        for beginning, act in self.before.items():
            if command.startswith(beginning):
                act(world)


def _ask_for_some(world: DrillWorld) -> None:
    world.connect_stores(2)
    world.request(1)
    world.work_for_hours()


def _key_fails(world: DrillWorld) -> None:
    """Three refunds of the store wait, and those of the other one go on."""
    for number in range(2, 5):
        world.request(number)
    world.request(5, store=2)
    world.work()


def _key_file(world: DrillWorld) -> None:
    (world.place / "key.txt").write_text(f"{KEY}\n")


def _four_stores(world: DrillWorld) -> None:
    world.connect_stores(4)
    world.request(1)
    world.work_for_hours()


def _wix_is_down(world: DrillWorld) -> None:
    for number in range(11, 19):
        world.request(number, store=number % 4 + 1)
    world.work()
    world.look_for_outage()


def _wix_is_back(world: DrillWorld) -> None:
    world.rig.let_an_hour_pass()
    world.end_outage()
    world.work_for_hours()


def _bad_deploy(world: DrillWorld) -> None:
    for first in range(101, 101 + MANY, AT_ONCE):
        for number in range(first, first + AT_ONCE):
            world.request(number, store=number % 3 + 1)
        world.work_for_hours()


def _last_second(world: DrillWorld) -> None:
    """Redis restarts: it has forgotten a job, and the step after the first."""
    world.request(1)
    world.rig.run_one_step()
    world.order(2)
    world.redis.hset(world.rig.key("clock"), "run_id", "another")
    # Else the server would have run before the last tick, as a replica has that takes over.
    world.redis.hdel(world.rig.key("clock"), "last_ms")
    world.work()


def _settle(world: DrillWorld) -> None:
    delay_ms = world.rig.settings.settle_delay_ms
    world.redis.hincrby(world.rig.key("clock"), "doubt_ms", -delay_ms - 1_000)
    world.work_for_hours()


def _lost_everything(world: DrillWorld) -> None:
    world.request(1)
    world.work_for_hours()
    world.redis.delete(*world.redis.keys(world.rig.key("*")))
    _key_file(world)


def _restart_worker(world: DrillWorld) -> None:
    world.join()
    world.rig.appear()
    world.tick()


def _failed_over(world: DrillWorld) -> None:
    world.request(1)
    world.rig.run_one_step()
    world.fail_over(lambda: world.request(2))
    world.work()


def _never_came(world: DrillWorld) -> None:
    """One is finished, one is at the payment provider, one waits, and one was never asked for."""
    world.connect_stores(2)
    world.request(1)
    world.work_for_hours()
    world.simulator.set_flags(provider_ms=10**12)
    world.request(2)
    world.work()
    world.run(f'refunds stores pause {store_id(2)} --reason "fraud?" --by bob')
    world.request(3, store=2)
    world.work()


def _paid_twice(world: DrillWorld) -> None:
    world.simulator.set_flags(provider_ms=10**12)
    world.request(1, amount="10.00", currency="USD")
    world.work()
    order = world.simulator.orders[order_id(1)]
    order.refunds.append(copy.deepcopy(order.refunds[0]) | {"id": str(uuid.uuid4())})
    world.work_for_hours()
    world.simulator.set_flags(provider_ms=0)
    world.request(2, amount="10.00", currency="USD")
    world.work_for_hours()


def _busy_store(world: DrillWorld) -> None:
    world.connect_stores(2)
    for number in range(1, 4):
        world.request(number)
    world.rig.run_intake()
    world.tick()


def _guarded(world: DrillWorld) -> None:
    """Three refunds pass a limit, the second one also what one person may approve."""
    world.restart(guard_refund="50 USD", guard_two_people="100 USD")
    for number, amount in ((1, "60.00"), (2, None), (3, "75.00")):
        more: dict[str, Any] = {"amount": amount, "currency": "USD"} if amount else {}
        world.request(number, requested_by="returns-service", **more)
    world.work_for_hours()


def _shift(world: DrillWorld) -> None:
    world.connect_stores(2)
    world.request(1)
    world.work_for_hours()
    world.run("refunds simulator fault add status --endpoint submit_refund --status 428 --code NO")
    world.request(2)
    world.work_for_hours()
    world.run(f'refunds stores pause {STORE_ID} --reason "fraud?"')
    world.request(3)
    world.work()


DRILLS: Mapping[str, Drill] = {
    "revoked-key": Drill(
        begin=_ask_for_some,
        before={
            "refunds status": _key_fails,
            "refunds stores connect": _key_file,
            "refunds list": DrillWorld.work_for_hours,
        },
    ),
    "wix-down": Drill(
        begin=_four_stores,
        before={"refunds status": _wix_is_down, "refunds list": _wix_is_back},
    ),
    "bad-deploy": Drill(
        begin=lambda world: world.connect_stores(3),
        before={
            "refunds status": _bad_deploy,
            "refunds jobs show": DrillWorld.do_bulk,
            "refunds jobs list": DrillWorld.do_bulk,
        },
    ),
    "last-second": Drill(begin=_last_second, before={"refunds list": _settle}),
    "lost-everything": Drill(
        begin=_lost_everything,
        before={"refunds stores connect": _restart_worker, "refunds list": _settle},
    ),
    "failed-over": Drill(begin=_failed_over, before={"refunds list": _settle}),
    "never-came": Drill(begin=_never_came),
    "paid-twice": Drill(begin=_paid_twice),
    "stop-a-store": Drill(begin=_busy_store, before={"refunds list": DrillWorld.work_for_hours}),
    "approval": Drill(begin=_guarded, before={"refunds list --since": DrillWorld.work_for_hours}),
    "hand-over": Drill(begin=_shift),
}
