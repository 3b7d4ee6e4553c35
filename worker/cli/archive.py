"""`refunds archive`: the refunds that the ledger has forgotten."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable
from typing import Annotated, Any

import redis
import typer

from worker.app import ledger_from
from worker.cells.names import all_cells
from worker.cells.settings import settings_of
from worker.cli import filters
from worker.cli.cells import all_settings, in_each_cell
from worker.cli.common import AsJson, Limit, close_at_end, connect, explain_errors, fail, settings
from worker.cli.completion import archived_ids
from worker.cli.csv_cells import safe_cell
from worker.cli.moments import Since, Until, since_ms
from worker.cli.operator import By, Why, operator
from worker.cli.output import moment, print_json, print_table, say
from worker.cli.output import shown as plain
from worker.operations.archive import ownership
from worker.operations.archive.entry import Archived, day_of
from worker.operations.archive.folder import ArchiveProblem, Folder
from worker.operations.archive.reading import Place, Reading, Wanted
from worker.refund.tombstone import Tombstone

archive = typer.Typer(
    no_args_is_help=True,
    help="Finished refunds that Redis has forgotten.",
    epilog="Example: refunds archive find rf-2024-000123",
)

RefundId = Annotated[
    str,
    typer.Argument(
        metavar="REFUND_ID",
        autocompletion=archived_ids,
        help="Id of the refund.",
        show_default=False,
    ),
]
COLUMNS = ("refund_id", "store_id", "order_id", "state", "amount", "currency", "wix_refund_id")


def open_folder() -> Folder:
    """Return the directory of the archive; end if there is none."""
    given = settings()
    if given.archive is None:
        fail("REFUNDS_ARCHIVE is not set: there is no archive, and nothing is forgotten", code=2)
    return Folder(given.archive)


def open_readings() -> list[Reading]:
    """Return what reads the archive, or that of the front and of each cell."""
    open_folder()
    given = settings()
    cells = [settings_of(given, cell, given.cells) for cell in all_cells(given.cells)]
    return [Reading(Folder(one.archive)) for one in cells if one.archive]


@archive.command("find", epilog="Example: refunds archive find --order ORDER_ID --json")
@explain_errors
def find(
    refund_id: RefundId = "",
    store: filters.Store = "",
    order: filters.Order = "",
    since: Since = "",
    until: Until = "",
    limit: Limit = 100,
    as_json: AsJson = False,
) -> None:
    """Find refunds in the archive. --since and --until say when they ended; newest day first.

    A refund's id is found at once as long as Redis answers; other searches read the whole archive,
    or the days that --since and --until leave. With --json all that is known of each.
    """
    wanted = Wanted(
        refund_id=refund_id.strip(),
        store_id=store.strip().lower(),
        order_id=order.strip().lower(),
        since_ms=since_ms(since),
        until_ms=since_ms(until, "--until"),
    )
    readings = open_readings()
    found: list[Place] = []
    if wanted.refund_id:
        found = [place for reading in readings for place in _by_id(reading, wanted)]
    every = (place for reading in readings for place in reading.find(wanted, newest=True))
    for place in () if found else every:
        found.append(place)
        if len(found) == limit:
            break
    if as_json:
        rows = [{**place.archived.told, "file": str(place.path)} for place in found]
        print_json({"refunds": rows, "problems": _problems(readings)})
    else:
        table = [_row(place.archived) | {"file": place.path.name} for place in found]
        dropped = ("file", "store_id", "wix_refund_id", "currency", "amount")
        print_table(table, (*COLUMNS, "ended", "file"), may_drop=dropped, empty="Nothing found.")
        if len(found) == limit:
            say(f"There may be more than {limit}; see --limit.")
    _end(readings)


def _by_id(reading: Reading, wanted: Wanted) -> list[Place]:
    """Return a refund from the day that its tombstone names."""
    try:
        left = _tombstone(wanted.refund_id)
    except redis.RedisError:
        return []
    day = day_of(left.ended_at_s * 1000) if left else None
    place = reading.one(wanted.refund_id, day) if day else None
    return [place] if place and wanted.includes(place.archived) else []


def _tombstone(refund_id: str) -> Tombstone | None:
    """Return what is left of a refund, in the first cell that has something."""
    for given in all_settings(settings()).values():
        broker, ledger = ledger_from(given)
        close_at_end(broker.client.close)
        if left := ledger.tombstone(refund_id):
            return left
    return None


@archive.command("export", epilog="Example: refunds archive export --since 2026-01-01 --json")
@explain_errors
def export(
    store: filters.Store = "",
    since: Since = "",
    until: Until = "",
    as_json: AsJson = False,
) -> None:
    """Print the refunds of the archive as CSV, oldest first. With --json, one document per line.

    A line of JSON has all that is known of a refund, with its history.
    """
    wanted = Wanted(
        store_id=store.strip().lower(),
        since_ms=since_ms(since),
        until_ms=since_ms(until, "--until"),
    )
    readings = open_readings()
    found = (place for reading in readings for place in reading.find(wanted))
    _print_all(found, as_json=as_json)
    _end(readings)


def _print_all(found: Iterable[Place], *, as_json: bool) -> None:
    table = csv.writer(sys.stdout, lineterminator="\n")
    if not as_json:
        table.writerow((*COLUMNS, "ended"))
    for place in found:
        if as_json:
            print_json(place.archived.told, indent=None)
        else:
            row = _row(place.archived)
            table.writerow(safe_cell(plain(row[name])) for name in (*COLUMNS, "ended"))


@archive.command("adopt", epilog='Example: refunds archive adopt --reason "moved to a new drive"')
@explain_errors
@in_each_cell
def adopt(by: By = "", reason: Why = "", as_json: AsJson = False) -> None:
    """Make REFUNDS_ARCHIVE the archive from now on. It replaces the one before.

    Needed if the directory was lost, or if another one is used. What the other one has is found
    only there, so copy it first.
    """
    folder, who = open_folder(), operator(by, reason, needs_reason=True)
    _, ledger = connect()
    try:
        archive_id = ownership.adopt(ledger.keeping, folder, who)
    except ArchiveProblem as problem:
        fail(str(problem))
    if as_json:
        print_json({"ok": True, "archive": archive_id, "directory": str(folder.path)})
    else:
        say(f"{folder.path} is the archive from now on.")


def _end(readings: Iterable[Reading]) -> None:
    """Tell what could not be read."""
    if problems := _problems(readings):
        say(*problems)
        raise typer.Exit(1)


def _row(one: Archived) -> dict[str, Any]:
    return {**one.told, "ended": moment(one.told["ended_at_ms"], "seconds")}


def _problems(readings: Iterable[Reading]) -> list[str]:
    return [text for reading in readings for text in reading.problems]
