"""`refunds request --file`: check a file of jobs as a whole, then send it; safe to repeat."""

from __future__ import annotations

import csv
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, TextIO

import redis
import typer

from worker.app import producers_from
from worker.cli.common import close_at_end, fail, settings
from worker.cli.csv_cells import safe_cell
from worker.cli.job_files import Line, looks_like_csv, read_jobs
from worker.cli.job_input import WrongJobs
from worker.cli.output import print_json, print_line, print_table, say
from worker.cli.progress import progress
from worker.client import signed_message
from worker.queue.server_errors import explain
from worker.refund.request import RefundRequest
from worker.upstream import RefundQueue

#: Jobs in one round trip.
BATCH = 500
#: How many refused lines are shown; a report has all of them.
MOST_SHOWN = 20
STDIN = "-"


@dataclass
class Sums:
    """What the jobs of a file ask for, by store and currency."""

    jobs: int = 0
    refused: int = 0
    shown: list[str] = field(default_factory=list)
    rows: dict[tuple[str, str], list[Any]] = field(default_factory=dict)

    def add(self, line: Line) -> None:
        """Count one line."""
        if line.job is None:
            self.refused += 1
            return
        self.jobs += 1
        job = line.job
        row = self.rows.setdefault((job.store_id, job.currency or ""), [0, Decimal(0), 0, 0])
        row[0] += 1
        total = job.named_total
        if total is None:
            row[3 if job.has_items else 2] += 1
        else:
            row[1] += total

    def table(self) -> list[dict[str, Any]]:
        """Return a row for each store and currency."""
        return [
            {
                "store_id": store_id,
                "currency": currency or None,
                "jobs": jobs,
                "amount": f"{amount:f}" if amount else None,
                "whole_orders": whole,
                "parts_without_amount": parts,
            }
            for (store_id, currency), (jobs, amount, whole, parts) in sorted(self.rows.items())
        ]


class Options(NamedTuple):
    """What the command was told about the file."""

    path: Path
    dry_run: bool
    skip_refused: bool
    after_line: int
    report: Path | None
    as_json: bool

    @property
    def name(self) -> str:
        """How messages call the file."""
        return "standard input" if str(self.path) == STDIN else self.path.name


def request_file(options: Options) -> None:
    """Check all lines; then send them, unless one is refused or nothing is to be sent."""
    with _opened(options) as (file, is_csv):
        sums = _check(options, file, is_csv=is_csv)
        if options.dry_run:
            _print_sums(options, sums)
        elif not sums.refused or options.skip_refused:
            _send(options, file, is_csv=is_csv, refused=sums.refused)
    if sums.refused:
        if not options.skip_refused and not options.dry_run:
            fail("nothing was sent; --skip-refused sends the others", code=2)
        raise typer.Exit(2)


@contextmanager
def _opened(options: Options) -> Iterator[tuple[BinaryIO, bool]]:
    """Open the file; standard input is copied to a temporary file, because it is read twice."""
    with ExitStack() as stack:
        if str(options.path) == STDIN:
            copy: Any = stack.enter_context(tempfile.TemporaryFile())
            shutil.copyfileobj(sys.stdin.buffer, copy)
            copy.seek(0)
            yield copy, looks_like_csv(copy, None)
            return
        try:
            file = stack.enter_context(options.path.open("rb"))
        except OSError as error:
            fail(f"{options.name} cannot be read: {error.strerror}", code=2)
        yield file, looks_like_csv(file, options.path)


def _lines(
    options: Options, file: BinaryIO, advance: Callable[[int], None], *, is_csv: bool
) -> Iterator[Line]:
    file.seek(0)
    for line in read_jobs(file, options.name, is_csv=is_csv):
        advance(line.size)
        yield line


def _size(file: BinaryIO) -> int:
    size = file.seek(0, 2)
    file.seek(0)
    return size


def _check(options: Options, file: BinaryIO, *, is_csv: bool) -> Sums:
    sums = Sums()
    with ExitStack() as stack:
        advance = stack.enter_context(progress("checking", _size(file)))
        report = _report(options, stack)
        try:
            for line in _lines(options, file, advance, is_csv=is_csv):
                sums.add(line)
                if line.errors:
                    _tell(options, sums, line, report)
        except WrongJobs as error:
            fail(*error.problems, code=2)
    if not sums.jobs and not sums.refused:
        fail(f"{options.name} contains no job: write one JSON object per line", code=2)
    for text in sums.shown:
        say(text)
    if sums.refused > MOST_SHOWN:
        say(f"and {sums.refused - MOST_SHOWN:,} more lines; --report FILE.csv lists all of them")
    return sums


def _report(options: Options, stack: ExitStack) -> Callable[[Line], None]:
    """Return what writes a refused line into the report; nothing if none is wanted."""
    if options.report is None:
        return lambda _line: None
    out: TextIO = stack.enter_context(options.report.open("w", encoding="utf-8", newline=""))
    table = csv.writer(out, lineterminator="\n")
    table.writerow(("line", "field", "rule", "problem", "value"))

    def write(line: Line) -> None:
        for error in line.errors:
            cells = (error.field, error.rule, error.text, error.value)
            table.writerow((line.number, *map(safe_cell, cells)))

    return write


def _tell(options: Options, sums: Sums, line: Line, report: Callable[[Line], None]) -> None:
    report(line)
    if sums.refused <= MOST_SHOWN:
        place = f"{options.name}, line {line.number}"
        sums.shown += [
            f"{place} {error.text}"
            if error.field == "line"
            else f"{place}: {error.field}: {error.text}"
            for error in line.errors
        ]


def _print_sums(options: Options, sums: Sums) -> None:
    if options.as_json:
        told: Mapping[str, Any] = {
            "ok": not sums.refused,
            "jobs": sums.jobs,
            "refused": sums.refused,
        }
        print_json({**told, "sums": sums.table()})
        return
    columns = ("store_id", "currency", "jobs", "amount", "whole_orders", "parts_without_amount")
    print_table(sums.table(), columns)
    say(f"Jobs: {sums.jobs:,}; refused lines: {sums.refused:,}; nothing was sent.")


class Sending:
    """Sends jobs in batches, and knows how far it has come."""

    def __init__(self, options: Options) -> None:
        given = settings()
        self._as_json = options.as_json
        self._producers = producers_from(given)
        self._queue = RefundQueue(given.redis_url.get_secret_value(), namespace=given.namespace)
        close_at_end(self._queue.close)
        self.sent = 0
        self.last_line = options.after_line
        """The last line that certainly was sent."""
        self._messages: list[str] = []
        self._lines: list[tuple[int, str]] = []

    def add(self, number: int, job: RefundRequest) -> None:
        """Take the job of a line; send a batch if one is full."""
        self._messages += signed_message(job, self._producers.signer(job.store_id))
        self._lines.append((number, job.refund_id))
        if len(self._lines) == BATCH:
            self.flush()

    def flush(self) -> None:
        """Send what was taken."""
        if not self._lines:
            return
        self._queue.send(self._messages)
        lines, self._lines, self._messages = self._lines, [], []
        self.sent += len(lines)
        self.last_line = lines[-1][0]
        if not self._as_json:
            for _, refund_id in lines:
                print_line(refund_id)


def _send(options: Options, file: BinaryIO, *, is_csv: bool, refused: int) -> None:
    """Send the jobs; an interrupted command says how to go on."""
    sending = Sending(options)
    try:
        with progress("sending", _size(file)) as advance:
            for line in _lines(options, file, advance, is_csv=is_csv):
                if line.job and line.number > options.after_line:
                    sending.add(line.number, line.job)
            sending.flush()
    except KeyboardInterrupt:
        _say_how_to_go_on(options, sending.last_line)
        raise
    except redis.RedisError as error:
        _say_how_to_go_on(options, sending.last_line)
        fail(explain(error))
    if options.as_json:
        print_json({"ok": not refused, "sent": sending.sent, "refused": refused})
    else:
        say(f"Jobs sent: {sending.sent:,}; refused lines: {refused:,}.")


def _say_how_to_go_on(options: Options, last: int) -> None:
    say(
        f"sent up to line {last}, perhaps a little more. Go on with --after-line {last}, or repeat"
        f" the whole of {options.name}: each refund_id counts once."
    )
