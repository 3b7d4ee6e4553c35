"""The parts of `make bench`: each runs its rounds and returns figures and ratios."""

from __future__ import annotations

import random
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from statistics import median
from types import MappingProxyType
from typing import Any

from tests.benchmarks import fairness, growth, latency, quota, throughput
from tests.benchmarks.contenders import CONTENDERS, Contender, Floor, Ours, Peer, Size
from tests.benchmarks.world import world

#: All measurements of one figure, by contender or scene.
Series = dict[str, list[float]]


@dataclass(frozen=True)
class Plan:
    """How much is measured."""

    rounds: int = 5
    few_rounds: int = 3
    """Of the parts whose rounds differ little, and take long."""
    refunds: int = 1_000
    paced: int = 300
    """Refunds at 20 per second."""
    idle: int = 20
    """Refunds at one per second."""
    busy: int = 10_000
    """Refunds of busy stores."""
    quiet: int = 60
    """Refunds of the quiet store, at three per second."""
    minutes: float = 10
    """Of a store whose quota is used up."""
    few: int = 1_000
    many: int = 300_000
    """Finished refunds."""


QUICK = Plan(
    2, 2, refunds=300, paced=100, idle=6, busy=1_000, quiet=12, minutes=1, few=100, many=5_000
)


@dataclass(frozen=True)
class Found:
    """What a part has measured."""

    figures: Mapping[str, Any]
    """Median, smallest and largest value, by name."""
    ratios: Mapping[str, float]


def told(series: Mapping[str, list[float]]) -> dict[str, list[float]]:
    """Return median, smallest and largest value of each series."""
    return {
        name: [round(each, 3) for each in (median(values), min(values), max(values))]
        for name, values in series.items()
        if values
    }


def ratio(series: Mapping[str, list[float]], one: str, other: str) -> float:
    """Return the median of the ratios of the rounds.

    What else the machine does slows down whole rounds, and so all that are compared in them.
    """
    rounds = zip(series[one], series[other], strict=True)
    return round(median(mine / others for mine, others in rounds), 3)


def run_throughput(plan: Plan, size: Size, *, everybody: Iterable[Contender] = CONTENDERS) -> Found:
    """Measure refunds per second, CPU time and the load of Redis.

    All take turns, in another order in each round: what one leaves behind, such as pages that the
    system has yet to write, must not always slow down the same one.
    """
    present = {
        one.name: one for one in everybody if not isinstance(one, Peer) or one.is_installed()
    }
    found: dict[str, Series] = defaultdict(lambda: defaultdict(list))
    with world() as place:
        for number in range(plan.rounds):
            order = random.Random(number)  # noqa: S311 - no secret
            for one in order.sample(tuple(present.values()), len(present)):
                try:
                    shown = throughput.run(one, place, size, plan.refunds)
                except RuntimeError as error:
                    if not isinstance(one, Peer):
                        raise
                    note(f"{one.name} is left out: {error}")
                    del present[one.name]
                    continue
                note(f"round {number + 1}: {one.name} {shown}")
                for name, value in shown._asdict().items():
                    found[name][one.name].append(value)
    ratios = {
        f"throughput_vs_{name}": ratio(found["per_s"], "ours", name)
        for name in present
        if name != "ours"
    }
    if "floor" in present:
        ratios["cpu_vs_floor"] = ratio(found["cpu_s_per_1000"], "ours", "floor")
    ratios["redis_commands_per_refund"] = round(median(found["commands"]["ours"]), 1)
    ratios["redis_round_trips_per_refund"] = round(median(found["round_trips"]["ours"]), 1)
    figures = {name: told({one: series[one] for one in present}) for name, series in found.items()}
    return Found(figures, ratios)


def run_latency(plan: Plan, size: Size) -> Found:
    """Measure how long refunds take at 20 per second, with calls that take 50 ms."""
    found = _paced(plan.rounds, size, per_s=20, count=plan.paced)
    ratios = {f"{name}_vs_floor": ratio(found[name], "ours", "floor") for name in ("p50", "p99")}
    return Found({f"{name}_ms": told(series) for name, series in found.items()}, ratios)


def run_idle(plan: Plan, size: Size) -> Found:
    """Measure how long refunds take at one per second, with calls that take 50 ms."""
    found = _paced(plan.rounds, size, per_s=1, count=plan.idle)
    ratios = {"idle_p50_vs_floor": ratio(found["p50"], "ours", "floor")}
    return Found({f"idle_{name}_ms": told(series) for name, series in found.items()}, ratios)


def _paced(rounds: int, size: Size, *, per_s: float, count: int) -> dict[str, Series]:
    found: dict[str, Series] = defaultdict(lambda: defaultdict(list))
    with world() as place:
        for number in range(rounds):
            for one in (Ours(), Floor()):
                shown = latency.run(one, place, size, per_s=per_s, count=count, delay_ms=50)
                note(f"round {number + 1}: {one.name} {shown}")
                for name, value in shown._asdict().items():
                    found[name][one.name].append(value)
    return found


def run_fairness(plan: Plan, size: Size) -> Found:
    """Measure how much longer a quiet store's refunds take beside busy stores."""
    found: Series = defaultdict(list)
    with world() as place:
        for number in range(plan.few_rounds):
            for name, scene in fairness.SCENES.items():
                p95 = fairness.run(scene, place, size, busy=plan.busy, count=plan.quiet, per_s=3)
                note(f"round {number + 1}: {name} {p95:.0f} ms")
                found[name].append(p95)
    ratios = {f"quiet_p95_{name}": ratio(found, name, "alone") for name in found if name != "alone"}
    return Found({"quiet_p95_ms": told(found)}, ratios)


def run_quota(plan: Plan, size: Size) -> Found:
    """Measure the use of a quota with a fixed and with a sliding window, at the same time."""

    def drain(*, sliding: bool) -> quota.Drain:
        with world() as place:
            return quota.run(place, size, minutes=plan.minutes, sliding=sliding)

    with ThreadPoolExecutor(2) as pool:
        started = {
            name: pool.submit(drain, sliding=name == "sliding") for name in ("fixed", "sliding")
        }
        found = {name: each.result() for name, each in started.items()}
    note(f"quota: {found}")
    ratios = {
        "drain_vs_quota": round(min(drain.used for drain in found.values()), 3),
        "http_429": sum(drain.refused for drain in found.values()),
    }
    return Found({f"quota_{name}": drain._asdict() for name, drain in found.items()}, ratios)


def run_growth(plan: Plan, size: Size) -> Found:
    """Measure the CPU time of a refund in a ledger with few and with many finished refunds."""
    found: Series = defaultdict(list)
    with world() as small, world() as large:
        places = {"few": small, "many": large}
        growth.fill(small, size, plan.few)
        growth.fill(large, size, plan.many)
        for number in range(2 * plan.few_rounds):
            # In either order as often: what runs first may find the machine quicker.
            for name, place in sorted(places.items(), reverse=bool(number % 2)):
                place.set_stub(after=size.after)
                shown = throughput.measure(Ours(), place, size, plan.refunds)
                note(f"round {number + 1}: {name} finished {shown}")
                found[name].append(shown.cpu_s_per_1000)
    ratios = {"cpu_at_300k_vs_1k": ratio(found, "many", "few")}
    return Found({"cpu_s_per_1000_after": told(found)}, ratios)


def note(text: str) -> None:
    """Say what has been measured."""
    sys.stderr.write(f"{text}\n")


#: In this order: the last two leave the machine idle most of the time, so `quota` runs beside them.
PARTS: Mapping[str, Callable[[Plan, Size], Found]] = MappingProxyType(
    {
        "throughput": run_throughput,
        "fairness": run_fairness,
        "growth": run_growth,
        "quota": run_quota,
        "latency": run_latency,
        "idle": run_idle,
    }
)
