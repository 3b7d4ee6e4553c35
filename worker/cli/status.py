"""`refunds status`: one look at everything."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import typer

from config.settings import Settings
from worker.app import ledger_from, membership_from
from worker.cli.cells import all_settings
from worker.cli.common import AsJson, close_at_end, explain_errors, settings
from worker.cli.output import print_json, print_line, print_table
from worker.ledger.connection import TRIES
from worker.operations import status as looking
from worker.operations.joined_status import add_up
from worker.operations.status_lines import need_lines, status_lines

EXAMPLE = "Example: refunds status --json | jq .needs"


@explain_errors
def status(as_json: AsJson = False) -> None:
    """Say how things stand, at one look.

    The exit code is 1 if something needs a person: each reason comes with the command to type next.
    """
    told = reader_for(settings())(10)
    if as_json:
        print_json(told)
    else:
        for label, text in status_lines(told):
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


CELL_COLUMNS = ("cell", "workers", "jobs", "unfinished", "in_flight", "dead", "needs")


def cell_row(cell: str, told: Mapping[str, Any]) -> dict[str, Any]:
    """Return how a cell stands, in one row."""
    return {
        "cell": cell,
        "workers": sum(worker["state"] == "alive" for worker in told["workers"]),
        "jobs": told["intake"]["jobs"],
        "unfinished": told["refunds"]["unfinished"],
        "in_flight": told["refunds"]["in_flight"],
        "dead": told["dead"]["refunds"] + told["dead"]["messages"],
        "needs": len(told["needs"]),
    }


def reader_for(given: Settings, *, tries: int = TRIES) -> Callable[[int], dict[str, Any]]:
    """Return what reads the status of all cells, given for how many minutes it counts."""
    opened = {cell: (one, _connect(one, tries)) for cell, one in all_settings(given).items()}

    def look(minutes: int) -> dict[str, Any]:
        told = {cell: _read(*one, minutes) for cell, one in opened.items()}
        return add_up(told) if len(told) > 1 else next(iter(told.values()))

    return look


def _connect(given: Settings, tries: int) -> Any:
    """Return a client that the command closes when it ends."""
    broker, _ = ledger_from(given, tries=tries)
    close_at_end(broker.client.close)
    return broker.client


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
