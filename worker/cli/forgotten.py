"""What can still be told of a refund that the ledger has forgotten."""

from __future__ import annotations

from typing import Any

import typer

from config.settings import Settings
from worker.cli.output import print_json, print_record, say
from worker.operations.archive.entry import day_of
from worker.operations.archive.folder import Folder
from worker.operations.archive.reading import Place, Reading
from worker.refund.tombstone import Tombstone


def archived(given: Settings, refund_id: str, left: Tombstone, *, as_json: bool) -> Place:
    """Return a forgotten refund from the archive; if it is not there, show what is left, and end.

    The tombstone says on which day it ended, so only that day is read.
    """
    ended_at_ms = left.ended_at_s * 1000
    day, problems = day_of(ended_at_ms), ["REFUNDS_ARCHIVE is not set here"]
    if given.archive:
        reading = Reading(Folder(given.archive))
        if place := reading.one(refund_id, day) or reading.one(refund_id):
            return place
        problems = reading.problems or [f"{given.archive} does not have it"]
    told: dict[str, Any] = {
        "refund_id": refund_id,
        "state": left.state.value,
        "amount": left.amount or None,
        "currency": left.currency or None,
        "wix_refund_id": left.wix_refund_id or None,
        "ended_at_ms": ended_at_ms,
        "forgotten": True,
    }
    if as_json:
        print_json(told)
    else:
        print_record(told)
    say(f"The ledger only knows this of it. The archive has the rest, day {day}: {problems[0]}.")
    raise typer.Exit
