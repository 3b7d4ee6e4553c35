"""The options that select refunds or dead letters: the same for each command."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from functools import wraps
from typing import Annotated, Any

import typer

from statemachine.flows import State, Transition
from worker.cli.common import fail
from worker.cli.moments import Since, Until, since_ms
from worker.operations.selection import Selection

Store = Annotated[str, typer.Option("--store", help="Only of the store with this site ID.")]
Order = Annotated[str, typer.Option("--order", help="Only of this order.")]
RefundId = Annotated[
    str, typer.Option("--refund", help="Only this refund; ID* for all that begin with ID.")
]
ReasonCode = Annotated[str, typer.Option("--reason", help="Only with this reason code.")]
Code = Annotated[str, typer.Option("--code", help="Only with this error code of Wix.")]
InState = Annotated[
    State | None,
    typer.Option("--state", help="Only in this state; of dead letters: that died in it."),
]
Due = Annotated[
    Transition | None,
    typer.Option("--transition", help="Only those whose next, or failed, step is this one."),
]
Text = Annotated[
    str, typer.Option("--text", help="Only with this text in the ids, the reason or the job.")
]
AmountOver = Annotated[
    str, typer.Option("--amount-over", help="Only of more than this amount, in any currency.")
]
After = Annotated[
    str, typer.Option("--after", help="Continue after this cursor, as the page before names it.")
]
All = Annotated[bool, typer.Option("--all", help="All that match, instead of --limit.")]


#: The options that select, with their types; all are empty by default.
OPTIONS: Mapping[str, Any] = {
    "store": Store,
    "order": Order,
    "refund": RefundId,
    "reason": ReasonCode,
    "code": Code,
    "state": InState,
    "transition": Due,
    "since": Since,
    "until": Until,
    "text": Text,
    "amount_over": AmountOver,
}


def selecting(command: Callable[..., None]) -> Callable[..., None]:
    """Add these options to a command, which gets what they select as its first argument."""
    own = list(inspect.signature(command, eval_str=True).parameters.values())[1:]

    @wraps(command)
    def inner(**options: Any) -> None:
        given = {name: options.pop(name) for name in OPTIONS}
        command(selection_of(given), **options)

    added = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            annotation=kind,
            default=None if name in {"state", "transition"} else "",
        )
        for name, kind in OPTIONS.items()
    ]
    own = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in own]
    inner.__signature__ = inspect.Signature([*added, *own])  # type: ignore[attr-defined]
    inner.__annotations__ = {each.name: each.annotation for each in (*added, *own)}
    return inner


def selection_of(given: Mapping[str, Any]) -> Selection:
    """Return what the options of a command select."""
    return Selection(
        store=given["store"].strip().lower(),
        order=given["order"].strip().lower(),
        refund=given["refund"].strip(),
        reason=given["reason"].strip(),
        code=given["code"].strip(),
        state=given["state"],
        transition=given["transition"],
        since_ms=since_ms(given["since"]),
        until_ms=since_ms(given["until"], "--until"),
        text=given["text"],
        amount_over=_amount(given["amount_over"]),
    )


def _amount(text: str) -> Decimal | None:
    if not text.strip():
        return None
    try:
        amount = Decimal(text.strip())
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite() or amount < 0:
        fail("--amount-over takes an amount like 250 or 19.90", code=2)
    return amount
