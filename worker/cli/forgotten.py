"""What can still be told of a refund that the ledger has forgotten."""

from __future__ import annotations

import typer

from config.settings import Settings
from worker.cli.output import print_json, print_record, say
from worker.operations import describing
from worker.operations.archive.reading import Place
from worker.refund.tombstone import Tombstone


def archived(given: Settings, refund_id: str, left: Tombstone, *, as_json: bool) -> Place:
    """Return a forgotten refund from the archive; without it, show what is left, and end."""
    place, problem = describing.archived(given.archive, refund_id, left)
    if place:
        return place
    told = describing.described_tombstone(refund_id, left)
    if as_json:
        print_json(told)
    else:
        print_record(told)
    say(f"The ledger only knows this of it. {problem}")
    raise typer.Exit
