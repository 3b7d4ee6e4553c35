"""Which refunds or letters: ids, a file of ids, filters, or --all; the same options for each act.

`--reason` says why an act is done, so the filter by reason code is `--reason-code`.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from statemachine.flows import State, Transition
from worker.cli.common import fail
from worker.cli.files import Unreadable, read_text
from worker.cli.moments import Since, Until, since_ms
from worker.observability.redaction import redact_text
from worker.operations.selection import Selection

#: The filters, by the name of the option's parameter; the Finding commands use the same.
FILTERS: dict[str, tuple[Any, Any]] = {
    "store": (Annotated[str, typer.Option(help="Only of the store with this site ID.")], ""),
    "order": (Annotated[str, typer.Option(help="Only of this order ID.")], ""),
    "refund": (Annotated[str, typer.Option(help="Only this refund ID.")], ""),
    "reason_code": (Annotated[str, typer.Option(help="Only with this reason code.")], ""),
    "code": (Annotated[str, typer.Option(help="Only with this code of Wix, or HTTP status.")], ""),
    "state": (
        Annotated[State | None, typer.Option(help="Only in this state, or that died in it.")],
        None,
    ),
    "transition": (
        Annotated[Transition | None, typer.Option(help="Only at this transition.")],
        None,
    ),
    "since": (Since, ""),
    "until": (Until, ""),
    "text": (Annotated[str, typer.Option(help="Only with this text in reason or metadata.")], ""),
    "amount_over": (
        Annotated[str, typer.Option(help="Only with a known amount of more than this.")],
        "",
    ),
}

#: What else an act on many takes.
_BULK: dict[str, tuple[Any, Any]] = {
    "file": (
        Annotated[
            Path | None,
            typer.Option(help="File with one ID per line.", exists=True, dir_okay=False),
        ],
        None,
    ),
    "every": (Annotated[bool, typer.Option("--all", help="All; this must be said.")], False),
    "rate": (
        Annotated[float | None, typer.Option(min=0.01, max=1000, help="Items per second.")],
        None,
    ),
    "canary": (
        Annotated[
            int | None,
            typer.Option(min=1, help="Do so many first, then wait for `refunds jobs continue`."),
        ],
        None,
    ),
    "yes": (Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")], False),
}
_IDS = Annotated[list[str] | None, typer.Argument(metavar="[ID...]")]

#: Items per second, if nothing else is said.
DEFAULT_RATE = 10.0


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
    hints = get_type_hints(command, include_extras=True)
    own = [p for p in inspect.signature(command).parameters.values() if p.name != "chosen"]
    given = {"ids": (_IDS, None), **FILTERS, **_BULK}
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD

    @wraps(command)
    def inner(**options: Any) -> None:
        named = {name: options.pop(name) for name in given}
        command(chosen=_chosen(named), **options)

    parameters = [
        inspect.Parameter(name, kind, default=default, annotation=annotation)
        for name, (annotation, default) in given.items()
    ]
    parameters += [parameter.replace(annotation=hints[parameter.name]) for parameter in own]
    inner.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # read by typer
    inner.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return inner


def _chosen(given: dict[str, Any]) -> Chosen:
    """Return what is named; fail if it is nothing, or too much."""
    ids = tuple(dict.fromkeys([*(given["ids"] or ()), *_ids_of(given["file"])]))
    selection = selection_from(given)
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


_SHAPES = {
    "store": re.compile(r"[0-9A-Fa-f-]{36}"),
    "order": re.compile(r"[0-9A-Fa-f-]{36}"),
    "refund": re.compile(r"[A-Za-z0-9._:~-]{1,100}"),
    "reason_code": re.compile(r"[a-z_]{1,60}"),
    "code": re.compile(r"[A-Z0-9_]{1,80}"),
}
_EXAMPLES = {
    "store": "a site ID like 4b296c48-0000-4000-8000-000000000001",
    "order": "an order ID like 67668940-527d-4465-94c6-5475d8c7a412",
    "refund": "a refund ID",
    "reason_code": "a reason code like scope_missing",
    "code": "a code of Wix like PAYMENT_NOT_REFUNDABLE, or an HTTP status like 428",
}


def selection_from(given: dict[str, Any]) -> Selection:
    """Return the filters of a command."""
    over = given["amount_over"]
    try:
        amount = Decimal(over) if over else None
    except InvalidOperation:
        amount = Decimal("NaN")
    if amount is not None and (not amount.is_finite() or amount < 0):
        fail("--amount-over takes a plain decimal like 100.00", code=2)
    texts = {name: given[name].strip() for name in _SHAPES}
    for name, text in texts.items():
        # What does not look like one may be an API key that was pasted in its place.
        if text and (not _SHAPES[name].fullmatch(text) or redact_text(text) != text):
            fail(f"--{name.replace('_', '-')} takes {_EXAMPLES[name]}", code=2)
    return Selection(
        store=texts["store"].lower(),
        order=texts["order"].lower(),
        refund=texts["refund"],
        reason=texts["reason_code"],
        code=texts["code"],
        state=given["state"],
        transition=given["transition"],
        since_ms=since_ms(given["since"]),
        until_ms=since_ms(given["until"], "--until"),
        text=given["text"],
        amount_over=amount,
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
