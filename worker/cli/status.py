"""`refunds status`: one look at everything."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import typer

from config.settings import Settings
from worker.app import ledger_from, membership_from
from worker.cells.names import FRONT
from worker.cli.cells import all_settings, wanted_cell
from worker.cli.common import AsJson, close_at_end, explain_errors, settings
from worker.cli.output import print_json, print_line, print_table
from worker.ledger.connection import TRIES
from worker.operations import status as looking
from worker.operations.joined_status import CELL_COLUMNS, add_up, cell_row
from worker.operations.status_lines import need_lines, status_lines

EXAMPLE = "Example: refunds status --json | jq .needs"


@explain_errors
def status(as_json: AsJson = False) -> None:
    """Say how things stand, at a glance.

    The exit code is 1 if something needs a person: each reason comes with the command to type next.
    """
    told = reader_for(settings())(10)
    if as_json:
        print_json(told)
    else:
        for label, text in status_lines(told, cell=wanted_cell.get() or FRONT):
            print_line(f"{label:<13}{text}")
        print_line()
        print_line("Needs a person:" if told["needs"] else "Nothing needs a person.")
        for line in need_lines(told["needs"]):
            print_line(f"  {line}")
        if "cells" in told:
            print_line()
            print_table([cell_row(*one) for one in told["cells"].items()], CELL_COLUMNS)
    if not told["ok"]:
        raise typer.Exit(1)


def reader_for(given: Settings) -> Callable[[int], dict[str, Any]]:
    """Return what reads the status of all cells, given for how many minutes it counts."""
    readers = {cell: reader_of(one) for cell, one in all_settings(given).items()}

    def look(minutes: int) -> dict[str, Any]:
        told = {cell: read(minutes) for cell, read in readers.items()}
        return add_up(told) if len(told) > 1 else next(iter(told.values()))

    return look


def reader_of(given: Settings, *, tries: int = TRIES) -> Callable[[int], dict[str, Any]]:
    """Return what reads the status of one ledger; its client is closed when the command ends."""
    broker, _ = ledger_from(given, tries=tries)
    close_at_end(broker.client.close)
    return lambda minutes: _read(given, broker.client, minutes)


def _read(given: Settings, client: Any, minutes: int) -> dict[str, Any]:
    """Return the status of a ledger; another one than ours is what needs a person first."""
    told = looking.status(
        client,
        given.namespace,
        dead_after_ms=given.worker_dead_after_ms,
        settle_delay_ms=given.settle_delay_ms,
        minutes=minutes,
    )
    refused = [f.text for f in membership_from(given, client).findings() if f.level == "refused"]
    told["needs"][:0] = [{"text": text, "command": "refunds doctor"} for text in refused]
    told["ok"] = not told["needs"]
    return told
