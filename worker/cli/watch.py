"""`refunds watch`: the status, live. It fits into 80 x 24; q quits."""

from __future__ import annotations

import os
import select
import sys
import termios
import tty
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Annotated, Any

import redis
import typer
from rich.console import Console
from rich.live import Live
from rich.text import Text

from worker.cells.names import FRONT
from worker.cli.cells import wanted_cell
from worker.cli.common import explain_errors, fail, settings
from worker.cli.output import if_encodable, shown
from worker.cli.status import reader_for
from worker.operations.status_lines import need_lines, status_lines, wix_line
from worker.queue.server_errors import explain

EXAMPLE = "Example: refunds watch --every 5"

#: How many minutes the throughput covers.
MINUTES = 60
#: Lines that are kept for what needs a person.
MOST_NEEDS = 5
#: How many workers, stores and reasons are listed.
LISTED = 2
BARS = "▁▂▃▄▅▆▇█"
ASCII_BARS = "_.-:=+*#"


@explain_errors
def watch(
    every: Annotated[
        float, typer.Option(min=0.5, max=3600, help="Seconds between two looks.")
    ] = 2.0,
) -> None:
    """Watch how things stand, live; q quits.

    Beside the status it shows the throughput of the last hour and the mix of Wix's answers.
    """
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        fail("refunds watch needs a terminal; use `refunds status --json` in a program", code=2)
    read = reader_for(settings())

    def look() -> list[str]:
        try:
            return screen(read(MINUTES))
        except redis.RedisError as error:
            return [explain(error), "Trying again; q quits."]

    console = Console()
    with keys() as pressed, Live(console=console, screen=True, auto_refresh=False) as live:
        while True:
            live.update(fitted(look(), console.width, console.height), refresh=True)
            if pressed(every) in {"q", "Q"}:
                return


@contextmanager
def keys() -> Iterator[Callable[[float], str]]:
    """Read single keys; yields a function that waits some seconds for one, "" if none came."""
    file = sys.stdin.fileno()
    before = termios.tcgetattr(file)
    tty.setcbreak(file)
    try:
        yield lambda wait_s: _key(file, wait_s)
    finally:
        termios.tcsetattr(file, termios.TCSADRAIN, before)


def _key(file: int, wait_s: float) -> str:
    # Not from sys.stdin, which would read ahead what `select` then no longer sees.
    return os.read(file, 1).decode("latin-1") if select.select([file], [], [], wait_s)[0] else ""


def screen(told: Mapping[str, Any]) -> list[str]:
    """Return the lines of one look, the most important first."""
    at = datetime.fromtimestamp(told["at_ms"] / 1000, UTC)
    needs = list(need_lines(told["needs"]))
    lines = [f"refunds watch   {at:%Y-%m-%d %H:%M:%S} UTC   q quits"]
    lines += [f"! {line}" for line in needs[:MOST_NEEDS]] or ["Nothing needs a person."]
    if len(needs) > MOST_NEEDS:
        lines.append(f"! and {len(needs) - MOST_NEEDS} more; see `refunds status`")
    minutes = told["wix"]["minutes"]
    for name in ("accepted", "finished", "dead"):
        counts = [minute[name] for minute in minutes]
        lines.append(f"{name:<9}{sparkline(counts)} {sum(counts):,} in {len(counts)} min")
    lines.append(f"Wix      {wix_line(told['wix'])}")
    of_status = status_lines(told, LISTED, cell=wanted_cell.get() or FRONT)
    lines += [f"{label:<13}{text}" for label, text in of_status if label != "Wix"]
    return lines


def sparkline(counts: Sequence[int]) -> str:
    """Return one bar for each count; the highest is the largest count."""
    bars, most = if_encodable(BARS, ASCII_BARS), max(counts, default=0)
    if not most:
        return bars[0] * len(counts)
    return "".join(bars[-(-count * (len(bars) - 1) // most)] for count in counts)


def fitted(lines: Sequence[str], width: int, height: int) -> Text:
    """Return what fits on the screen; longer lines are cut off."""
    return Text("\n".join(shown(line)[:width] for line in lines[: height - 1]), no_wrap=True)
