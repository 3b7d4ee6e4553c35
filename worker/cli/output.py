"""What the command line shows: JSON for programs, tables for people."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Container, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from worker.observability.redaction import redact

#: A column of sentences narrower than this is hard to read.
LEAST_PROSE = 16


def print_json(value: Any, *, indent: int | None = 2) -> None:
    """One JSON document on standard output."""
    sys.stdout.write(json.dumps(redact(value), indent=indent, ensure_ascii=False) + "\n")


def say(text: str) -> None:
    """A sentence for a person, on standard error: standard output is for answers."""
    sys.stderr.write(text.rstrip("\n") + "\n")


def _cell(value: object) -> Text:
    # Text, not markup: what comes from outside must not paint our terminal.
    return Text("" if value is None else str(redact(value)))


def print_table(
    rows: Iterable[Mapping[str, Any]],
    columns: Sequence[str],
    *,
    may_drop: Sequence[str] = (),
    width: int = 0,
) -> None:
    """A table, coloured only on a terminal; ids are never broken, so that they can be copied.

    Where it does not fit into *width* (by default the terminal's) it goes without the columns of
    *may_drop*, the first first; where it still does not fit, each row becomes a block.
    """
    cells = [{column: _cell(row.get(column)) for column in columns} for row in rows]
    # Piped output is as wide as it needs to be.
    width = width or (shutil.get_terminal_size().columns if sys.stdout.isatty() else 1000)
    prose = {name for name in columns if any(" " in row[name].plain for row in cells)}
    shown = list(columns)
    for name in may_drop:
        if _least_width(cells, shown, prose) > width:
            shown.remove(name)
    if _least_width(cells, shown, prose) > width:
        _print_blocks(cells)
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in shown:
        table.add_column(name.replace("_", " "), overflow="fold", no_wrap=name not in prose)
    for row in cells:
        table.add_row(*(row[name] for name in shown))
    Console(width=width).print(table)


def _least_width(
    rows: Iterable[Mapping[str, Text]], columns: Iterable[str], prose: Container[str]
) -> int:
    """What a table needs so that nothing is broken but sentences; two blanks between columns."""
    longest = {name: max(map(len, [name, *(row[name].plain for row in rows)])) for name in columns}
    least = (min(size, LEAST_PROSE) if name in prose else size for name, size in longest.items())
    return sum(least) + 2 * (len(longest) - 1)


def _print_blocks(rows: Iterable[Mapping[str, Text]]) -> None:
    """Each row as lines of name and value; the terminal may wrap them, it does not cut them."""
    for row in rows:
        print_record({column.replace("_", " "): cell.plain for column, cell in row.items()})
        sys.stdout.write("\n")


def print_record(record: Mapping[str, Any]) -> None:
    """The filled fields of one record, a line each."""
    lines = {name: value for name, value in record.items() if value not in (None, "", {}, [])}
    width = max((len(name) for name in lines), default=0)
    for name, value in lines.items():
        text = moment(value) if name.endswith("_at_ms") else redact(value)
        if isinstance(text, dict):
            text = json.dumps(text, ensure_ascii=False)
        sys.stdout.write(f"{name:<{width}}  {text}\n")


def moment(unix_ms: int) -> str:
    """A time of the ledger as ISO 8601 in UTC."""
    return datetime.fromtimestamp(unix_ms / 1000, UTC).isoformat(timespec="milliseconds")


def history_rows(history: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """History lines as rows: when, what, and the rest in one cell."""
    shown = ("at_ms", "event", "transition")
    return [
        {
            "when": moment(line["at_ms"]),
            "event": line["event"],
            "transition": line.get("transition", ""),
            "details": " ".join(f"{k}={v}" for k, v in line.items() if k not in shown),
        }
        for line in history
    ]


def print_outcome(stream_id: str, event: Mapping[str, Any], *, as_json: bool) -> None:
    """One event a line, at once, so that a reader at the other end of a pipe can act on it."""
    if as_json:
        line = json.dumps(redact(event), ensure_ascii=False)
    else:
        told = event["data"]
        amount = told.get("amount")
        money = f"{amount['amount']} {amount['currency']}" if amount else ""
        why = (told.get("reason") or {}).get("reason", "")
        parts = (stream_id, event["time"], event["type"], event["subject"], money, why)
        line = "  ".join(str(redact(part)) for part in parts if part)
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
