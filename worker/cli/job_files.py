"""Files of jobs, JSON lines or CSV, read line by line: they may have a million lines."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from worker.cli import job_input
from worker.cli.csv_cells import read_cell
from worker.cli.files import Unreadable, read_json
from worker.refund.request import InvalidJob, RefundRequest, parse_request
from worker.upstream.invalid import FieldError

#: A job has at most 64 KiB; with escapes and blanks a line may be longer.
LONGEST_LINE = 1_048_576
NOT_UTF_8 = "is not text in UTF-8; save it in this encoding"
#: Columns that say how much is refunded. If a file has one, an empty cell is no whole order.
HOW_MUCH = ("amount", "lines", "shipping", "additional_fees")
WHOLE = "all"
_FLAGS = {"true": True, "false": False}
_BOOLEANS = frozenset({"restock", "notify_buyer"})
_METADATA = "metadata."


class Line(NamedTuple):
    """One line of a file."""

    number: int
    job: RefundRequest | None
    errors: tuple[FieldError, ...]
    """What is wrong with it; then there is no job."""
    size: int
    """Its bytes, as far as they are known."""


def read_jobs(file: BinaryIO, name: str, *, is_csv: bool) -> Iterator[Line]:
    """Yield the jobs of a file; empty lines are left out.

    Raises:
        WrongJobs: the file as a whole cannot be read.
    """
    found = _of_csv(file, name) if is_csv else _of_json_lines(file, name)
    for number, job, size in found:
        if isinstance(job, str):
            yield Line(number, None, (FieldError("line", "format", job, None),), size)
            continue
        try:
            yield Line(number, parse_request(job), (), size)
        except InvalidJob as error:
            yield Line(number, None, tuple(error.errors), size)


def looks_like_csv(file: BinaryIO, path: Path | None) -> bool:
    """Whether a file is CSV: by its name, or by its first character if it has none."""
    if path:
        return path.suffix.lower() == ".csv"
    start = file.read(4_096).decode("utf-8", "ignore").lstrip("\ufeff \t\r\n")
    file.seek(0)
    return bool(start) and not start.startswith("{")


def _of_json_lines(file: BinaryIO, name: str) -> Iterator[tuple[int, Any, int]]:
    """Yield number, job or problem, and size of each line. Only a line feed ends a line."""
    number = 0
    while line := file.readline(LONGEST_LINE + 1):
        number += 1
        size = len(line)
        if size > LONGEST_LINE:
            while line and not line.endswith(b"\n"):
                line = file.readline(LONGEST_LINE)
            yield number, f"has more than {LONGEST_LINE} bytes", size
            continue
        text = _decoded(line, name, is_first=number == 1)
        if text.strip():
            yield number, _job_of(text), size


def _decoded(line: bytes, name: str, *, is_first: bool) -> str:
    try:
        text = line.decode("utf-8-sig" if is_first else "utf-8")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise job_input.WrongJobs(f"{name} {NOT_UTF_8}")
    return text


def _job_of(text: str) -> Any:
    """Return the object of a line, or a text that says why it is not one."""
    try:
        job = read_json(text)
    except Unreadable as error:
        return str(error)
    return job if isinstance(job, dict) else "is not a JSON object"


def _of_csv(file: BinaryIO, name: str) -> Iterator[tuple[int, Any, int]]:
    lines = (_decoded(line, name, is_first=n == 0) for n, line in enumerate(_limited(file, name)))
    first = next(lines, "")
    if not first.strip():
        return
    mark = max(",;\t", key=first.count)
    try:
        [header] = csv.reader([first], delimiter=mark)
    except csv.Error as error:
        raise job_input.WrongJobs(f"{name}, line 1 is not CSV: {error}") from None
    columns = [column.strip() for column in header]
    if len(set(columns)) < len(columns) or "store_id" not in columns:
        raise job_input.WrongJobs(
            f"{name} needs a first line with the names of the fields, each once, at least"
            " refund_id, store_id, and order_id or order_number"
        )
    rows = csv.reader(lines, delimiter=mark, strict=True)
    try:
        for row in rows:
            if any(cell.strip() for cell in row):
                yield rows.line_num + 1, _row(columns, row), sum(map(len, row)) + len(row)
    except csv.Error as error:
        raise job_input.WrongJobs(f"{name}, line {rows.line_num + 1} is not CSV: {error}") from None


def _limited(file: BinaryIO, name: str) -> Iterator[bytes]:
    while line := file.readline(LONGEST_LINE + 1):
        if len(line) > LONGEST_LINE:
            raise job_input.WrongJobs(f"{name} has a line of more than {LONGEST_LINE} bytes")
        yield line


def _row(columns: list[str], row: list[str]) -> Any:
    """Return the job of a row, or a text that says why it is none."""
    if len(row) > len(columns):
        return f"has {len(row)} cells, but the first line names {len(columns)} fields"
    cells = {n: read_cell(c).strip() for n, c in zip(columns, row, strict=False) if c.strip()}
    job: dict[str, Any] = {}
    for name, cell in cells.items():
        if name.startswith(_METADATA):
            job.setdefault("metadata", {})[name.removeprefix(_METADATA)] = cell
        elif name == "lines":
            job[name] = [_line(part) for part in cell.split(";") if part.strip()]
        elif name == "additional_fees":
            job[name] = [job_input.parse_fee(part.strip()) for part in cell.split(";")]
        else:
            job[name] = _FLAGS.get(cell.lower(), cell) if name in _BOOLEANS else cell
    return _with_how_much(columns, job)


def _line(text: str) -> Mapping[str, Any]:
    """Read LINE_ITEM_ID:QUANTITY or LINE_ITEM_ID:QUANTITY=AMOUNT."""
    line, _, amount = text.strip().partition("=")
    return job_input.parse_line(line) | ({"amount": amount} if amount else {})


def _with_how_much(columns: list[str], job: dict[str, Any]) -> Any:
    """Refuse a row that leaves open how much: an empty cell must not mean everything."""
    named = [column for column in HOW_MUCH if column in columns]
    if job.get("amount") == WHOLE:
        del job["amount"]
    elif named and not any(column in job for column in named):
        return (
            f"has nothing in {', '.join(named)}: write {WHOLE} into the column amount to refund"
            " the whole order"
        )
    return job
