"""Which refunds or letters an act is done to: ids, a file of ids, filters, or --all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from worker.cli.common import fail
from worker.cli.completion import refund_ids
from worker.cli.files import Unreadable, read_text
from worker.cli.filters import OPTIONS, selection_of, taking
from worker.observability.redaction import redact_text
from worker.operations.jobs.freezing import DEFAULT_RATE
from worker.operations.selection import Selection

#: What else an act on many takes.
_BULK: dict[str, tuple[Any, Any]] = {
    "file": (
        Annotated[
            Path | None,
            typer.Option(help="File with one ID per line.", exists=True, dir_okay=False),
        ],
        None,
    ),
    "every": (
        Annotated[bool, typer.Option("--all", help="All of them, without a filter.")],
        False,
    ),
    "rate": (
        Annotated[float | None, typer.Option(min=0.01, max=1000, help="Items per second.")],
        None,
    ),
    "canary": (
        Annotated[
            int | None,
            typer.Option(min=1, help="Do this many first, then wait for `refunds jobs continue`."),
        ],
        None,
    ),
    "yes": (Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")], False),
}
_IDS = Annotated[
    list[str] | None,
    typer.Argument(metavar="ID", autocompletion=refund_ids, help="Ids of refunds or dead letters."),
]


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """What the command line names."""

    ids: tuple[str, ...]
    """From arguments, or from a file."""
    selection: Selection | None
    """What a filter, or --all, selects; None if there are ids."""
    is_bulk: bool
    """Whether the workers are to do it as a job; ids of the command line are done at once."""
    rate: float
    canary: int
    yes: bool

    def __str__(self) -> str:
        return redact_text(str(self.selection)) if self.selection else f"{len(self.ids)} ids"


def chooses(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command with a parameter `chosen` the options that name refunds or letters."""
    return taking(command, {"ids": (_IDS, None), **OPTIONS, **_BULK}, "chosen", _chosen)


def _chosen(given: dict[str, Any]) -> Chosen:
    """Return what is named; fail if it is nothing, or too much."""
    ids = tuple(dict.fromkeys([*(given["ids"] or ()), *_ids_of(given["file"])]))
    selection = selection_of(given)
    ways = [bool(given["ids"]), bool(given["file"]), not selection.is_empty or given["every"]]
    if sum(ways) != 1:
        fail(
            "name one or more IDs, or --file, or filters like --store, or say --all"
            if not any(ways)
            else "IDs, --file and filters exclude each other",
            code=2,
        )
    if given["file"] and not ids:
        fail(f"{given['file']} contains no ID", code=2)
    return Chosen(
        ids=ids,
        selection=None if ids else selection,
        is_bulk=not given["ids"] or given["rate"] is not None or given["canary"] is not None,
        rate=given["rate"] or DEFAULT_RATE,
        canary=given["canary"] or 0,
        yes=given["yes"],
    )


def _ids_of(file: Path | None) -> list[str]:
    """Return the ids in a file, one per line; what follows a blank, as in a table, is ignored."""
    if file is None:
        return []
    try:
        lines = read_text(file).splitlines()
    except Unreadable as error:
        fail(f"{file.name} {error}", code=2)
    return [line.split()[0] for line in lines if line.strip() and not line.startswith("#")]
