"""Output of the commands: JSON for programs, tables and lines for people.

Everything that a command prints goes through here: secrets are masked, and what is for people is
escaped, because ids, names and messages come from outside.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from worker.observability.printable import in_json, printable, printable_json
from worker.observability.redaction import redact, redact_text

#: Gets the JSON documents of a command that runs several times.
_collected: ContextVar[list[Any] | None] = ContextVar("collected", default=None)
#: Columns of prose narrower than this are hard to read.
MIN_PROSE_WIDTH = 16


def print_json(value: Any, *, indent: int | None = 2) -> None:
    """Print one JSON document on standard output, or hand it to what collects them."""
    if (collected := _collected.get()) is not None:
        collected.append(value)
        return
    sys.stdout.write(_json(redact(value), indent=indent) + "\n")


@contextmanager
def collecting() -> Iterator[list[Any]]:
    """Collect what `print_json` gets instead of printing it."""
    documents: list[Any] = []
    before = _collected.set(documents)
    try:
        yield documents
    finally:
        _collected.reset(before)


def _json(value: Any, *, indent: int | None = None) -> str:
    """Return JSON that any terminal shows and any encoding holds; its content is exact."""
    text = printable_json(json.dumps(value, indent=indent, ensure_ascii=False))
    encoding = sys.stdout.encoding or "utf-8"
    if text.isascii() or encoding.lower() in {"utf-8", "utf8"}:
        return text
    return "".join(char if _fits(char, encoding) else in_json(char) for char in text)


def _fits(text: str, encoding: str) -> bool:
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


def if_encodable(text: str, instead: str) -> str:
    """Return *text*, or *instead* if standard output cannot encode it."""
    return text if _fits(text, sys.stdout.encoding or "utf-8") else instead


def say(*lines: str) -> None:
    """Print a message for a person on standard error; standard output is for results."""
    sys.stderr.write("".join(f"{shown(line)}\n" for line in lines))


def print_line(text: str = "") -> None:
    """Print one line of a result on standard output."""
    sys.stdout.write(f"{shown(text)}\n")


def shown(value: object) -> str:
    """Return a value as one line of text for people."""
    if isinstance(value, dict | list | tuple):
        value = json.dumps(redact(value), ensure_ascii=False)
    return "" if value is None else printable(redact_text(str(value)))


def _cell(value: object) -> Text:
    # Text, not markup: foreign text must not be able to format our output.
    return Text(shown(value))


def print_table(
    rows: Iterable[Mapping[str, Any]],
    columns: Sequence[str],
    *,
    may_drop: Sequence[str] = (),
    empty: str = "",
    width: int = 0,
) -> None:
    """Print a table, coloured only on a terminal. Ids are never wrapped, so they can be copied.

    Without rows, say *empty* instead of printing a header alone.

    If the table is wider than *width* (by default the terminal's), the columns in *may_drop* are
    left out one by one, in their order; if that is not enough, each row is printed as a block.
    """
    cells = [{column: _cell(row.get(column)) for column in columns} for row in rows]
    if empty and not cells:
        say(empty)
        return
    # Piped output may be as wide as necessary.
    width = width or (shutil.get_terminal_size().columns if sys.stdout.isatty() else 1000)
    prose = {name for name in columns if any(" " in row[name].plain for row in cells)}
    shown = list(columns)
    for name in may_drop:
        if _min_width(cells, shown, prose) > width:
            shown.remove(name)
    if _min_width(cells, shown, prose) > width:
        _print_blocks(cells)
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in shown:
        table.add_column(name.replace("_", " "), overflow="fold", no_wrap=name not in prose)
    for row in cells:
        table.add_row(*(row[name] for name in shown))
    # With a width alone, rich takes a terminal that is called "dumb" for 80 columns wide.
    Console(width=width, height=len(cells) + 1).print(table)


def _min_width(
    rows: Iterable[Mapping[str, Text]], columns: Iterable[str], prose: Container[str]
) -> int:
    """Width that a table needs if only prose is wrapped, with two blanks between columns."""
    longest = {name: max(map(len, [name, *(row[name].plain for row in rows)])) for name in columns}
    widths = (
        min(size, MIN_PROSE_WIDTH) if name in prose else size for name, size in longest.items()
    )
    return sum(widths) + 2 * (len(longest) - 1)


def _print_blocks(rows: Iterable[Mapping[str, Text]]) -> None:
    """Print each row as lines of name and value, which the terminal may wrap."""
    for row in rows:
        print_record({column.replace("_", " "): cell.plain for column, cell in row.items()})
        print_line()


def print_record(record: Mapping[str, Any]) -> None:
    """Print the fields of one record that are not empty, one per line."""
    lines = {
        shown(name): redact(value, name)
        for name, value in map(_with_moment, record.items())
        if value not in (None, "", {}, [])
    }
    width = max((len(name) for name in lines), default=0)
    for name, value in lines.items():
        print_line(f"{name:<{width}}  {shown(value)}")


def _with_moment(field: tuple[str, Any]) -> tuple[str, Any]:
    """Return a field of a record; for people, a time is a date without the unit in its name."""
    name, value = field
    return (name.removesuffix("_ms"), moment(value)) if name.endswith("_at_ms") and value else field


def moment(unix_ms: int, precision: str = "milliseconds") -> str:
    """Format a time of the ledger as ISO 8601 in UTC."""
    return datetime.fromtimestamp(unix_ms / 1000, UTC).isoformat(timespec=precision)


#: The columns of `refunds outcomes`, with their widths. Each line is printed when its event comes.
OUTCOME_COLUMNS = {"stream id": 17, "time": 24, "event": 18, "refund or store": 0}


def print_outcomes_header() -> None:
    """Print the header of the lines of `print_outcome`."""
    print_line("  ".join(f"{name:<{width}}" for name, width in OUTCOME_COLUMNS.items()))


def print_outcome(stream_id: str, event: Mapping[str, Any], *, as_json: bool) -> None:
    """Print one event on a line and flush, so that a reader of a pipe gets it at once.

    JSON is for upstream's programs: the event as it is, with the caller's metadata.
    """
    if as_json:
        sys.stdout.write(_json(event) + "\n")
    else:
        facts = event["data"]
        amount = facts.get("amount")
        money = f"{amount['amount']} {amount['currency']}" if amount else ""
        why = (facts.get("reason") or {}).get("reason", "")
        parts = (stream_id, event["time"], event["type"], event["subject"])
        cells = [f"{p!s:<{w}}" for p, w in zip(parts, OUTCOME_COLUMNS.values(), strict=True)]
        print_line("  ".join(part for part in (*cells, money, why) if part))
    sys.stdout.flush()
