"""`refunds logs`: the log of the workers, for people."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer

from worker.cli.common import AsJson, explain_errors, fail
from worker.cli.moments import Since, since_ms
from worker.cli.output import print_json, print_line, shown
from worker.observability.event import LEVELS, Level
from worker.observability.formats import read_line

EXAMPLE = "Example: refunds logs worker.log --refund rf-2024-000123 --level warning"

#: Fields that have a place of their own in a line, or that are the same in all lines of a process.
_PLACED = frozenset(
    {"timestamp", "level", "event", "refund_id", "version", "host", "pid", "actor", "message_id"}
)
#: So wide are the columns of the level and of the event.
_LEVEL_WIDTH, _EVENT_WIDTH = 7, 22

Line = Mapping[str, Any]


@explain_errors
def logs(
    file: Annotated[str, typer.Argument(help="A file with log lines, - for standard input.")],
    refund: Annotated[str, typer.Option(help="Only of this refund.")] = "",
    store: Annotated[str, typer.Option(help="Only of this store.")] = "",
    event: Annotated[
        list[str] | None,
        typer.Option(help="Only this event, or all that begin like `step.`; repeatable."),
    ] = None,
    level: Annotated[Level | None, typer.Option(help="Only of this level or above.")] = None,
    since: Since = "",
    as_json: AsJson = False,
) -> None:
    """Show log lines of the workers, one event a line.

    It reads what REFUNDS_LOG_FORMAT json, gcp or ecs wrote. Other lines are shown as they are,
    unless a filter is given; with --json they are left out.
    """
    wanted = _filter(refund, store, event or [], level, since_ms(since))
    is_filtered = any((refund, store, event, level, since))
    with _opened(file) as lines:
        for text in lines:
            line = read_line(text)
            if line is None:
                if text.strip() and not is_filtered and not as_json:
                    print_line(text.rstrip("\n"))
            elif wanted(line):
                _print(line, as_json=as_json)


@contextmanager
def _opened(file: str) -> Iterator[Iterable[str]]:
    if file == "-":
        yield sys.stdin
        return
    try:
        with Path(file).open(encoding="utf-8", errors="backslashreplace") as opened:
            yield _lines(opened)
    except OSError as error:
        fail(f"{shown(file)} cannot be read: {error.strerror}", code=2)


def _lines(opened: TextIO) -> Iterator[str]:
    yield from opened


def _filter(
    refund: str, store: str, events: list[str], level: Level | None, from_ms: int
) -> Callable[[Line], bool]:
    def is_wanted(line: Line) -> bool:
        return (
            refund in {"", line.get("refund_id")}
            and store in {"", line.get("store_id")}
            and (not events or any(_is(str(line.get("event")), one) for one in events))
            and (level is None or _rank(line.get("level")) >= LEVELS[level])
            and (not from_ms or _at_ms(line) >= from_ms)
        )

    return is_wanted


def _is(name: str, wanted: str) -> bool:
    return name == wanted or (wanted.endswith(".") and name.startswith(wanted))


def _rank(level: object) -> int:
    """Return how severe a level is; one that is not known is shown in any case."""
    return LEVELS.get(level, max(LEVELS.values())) if isinstance(level, str) else 0


def _at_ms(line: Line) -> float:
    try:
        moment = datetime.fromisoformat(str(line.get("timestamp")))
    except ValueError:
        return 0
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000


def _print(line: Line, *, as_json: bool) -> None:
    if as_json:
        print_json(dict(line), indent=None)
        return
    parts = [
        str(line.get("timestamp", ""))[:23].replace("T", " "),
        str(line.get("level", "")).ljust(_LEVEL_WIDTH),
        str(line.get("event", "")).ljust(_EVENT_WIDTH),
        str(line.get("refund_id", "")),
    ]
    parts += [f"{name}={_value(value)}" for name, value in line.items() if name not in _PLACED]
    print_line(" ".join(part for part in parts if part).rstrip())


def _value(value: object) -> str:
    """Return a value that reads well in a line: texts with spaces are quoted."""
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False) if not value or " " in value else value
    return json.dumps(value, ensure_ascii=False)
