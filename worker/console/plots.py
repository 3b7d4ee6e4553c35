"""Plots of the last day, as the geometry of inline SVG; the template writes the elements."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

#: The ledger counts a day of minutes; a bar stands for so many of them.
DAY_MIN, BAR_MIN = 1_440, 10
#: How old the counts may be, s: reading a day of them takes some milliseconds of the server.
FRESH_S = 30
#: The size of a plot, in its own units; the page scales it.
WIDTH, HEIGHT = 720, 120


class Kind(NamedTuple):
    """What a plot adds up."""

    title: str
    counts: tuple[str, ...]


KINDS: Mapping[str, Kind] = {
    "throughput": Kind("Refunds that ended", ("finished", "rejected")),
    "dead": Kind("New dead letters", ("dead",)),
    "wix_errors": Kind("Calls that Wix refused or did not answer", ("wix_errors",)),
}


class Bar(NamedTuple):
    """One bar, from the top of the plot."""

    x: float
    y: float
    width: float
    height: float
    label: str


@dataclass(frozen=True, kw_only=True)
class Plot:
    """One plot."""

    name: str
    title: str
    total: int
    most: int
    """The largest count of a bar."""
    bars: Sequence[Bar]
    ticks: Sequence[tuple[float, str]]
    """Full hours: place and text."""


def plot(name: str, minutes: Sequence[Mapping[str, int]]) -> Plot:
    """Return the plot of one kind of counts, of minutes in order of time."""
    kind = KINDS[name]
    counts = [sum(minute[each] for each in kind.counts) for minute in minutes]
    starts = range(0, len(minutes), BAR_MIN)
    sums = [sum(counts[start : start + BAR_MIN]) for start in starts]
    most, width = max(sums, default=0), WIDTH / max(1, len(sums))
    moments = [datetime.fromtimestamp(minutes[start]["minute"] * 60, UTC) for start in starts]
    bars = [
        _bar(place * width, width, count / most, f"{at:%H:%M}: {count:,}")
        for place, (count, at) in enumerate(zip(sums, moments, strict=True))
        if count
    ]
    ticks = [
        (round(place * width, 1), f"{at:%H}:00")
        for place, at in enumerate(moments)
        if at.hour % 4 == 0 and at.minute < BAR_MIN
    ]
    return Plot(name=name, title=kind.title, total=sum(sums), most=most, bars=bars, ticks=ticks)


def _bar(x: float, width: float, share: float, label: str) -> Bar:
    height = max(1.0, share * HEIGHT)
    return Bar(
        round(x, 1), round(HEIGHT - height, 1), round(width * 0.8, 1), round(height, 1), label
    )


class Trends:
    """The plots, read again when they are no longer fresh; whoever looks shares them."""

    def __init__(
        self,
        read_status: Callable[[int], dict[str, Any]],
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._read_status = read_status
        self._now_s = now_s
        self._lock = threading.Lock()
        self._plots: list[Plot] = []
        self._read_at_s = 0.0

    def plots(self) -> list[Plot]:
        """Return one plot of each kind."""
        with self._lock:
            if not self._plots or self._now_s() - self._read_at_s > FRESH_S:
                minutes = self._read_status(DAY_MIN)["wix"]["minutes"]
                self._plots = [plot(name, minutes) for name in KINDS]
                self._read_at_s = self._now_s()
            return self._plots
