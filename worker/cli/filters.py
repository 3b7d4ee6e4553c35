"""The options that select refunds or dead letters: the same for lists and for acts on many."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Annotated, Any, get_type_hints

import typer

from statemachine.flows import State, Transition
from worker.cli.common import fail
from worker.cli.completion import store_ids
from worker.cli.moments import Since, Until
from worker.operations import filters
from worker.operations.filters import BadFilter
from worker.operations.selection import Selection

Store = Annotated[
    str,
    typer.Option("--store", autocompletion=store_ids, help="Only of the store with this site ID."),
]
Order = Annotated[str, typer.Option("--order", help="Only of this order.")]
RefundId = Annotated[
    str, typer.Option("--refund", help="Only this refund; ID* for all that begin with ID.")
]
ReasonCode = Annotated[str, typer.Option("--reason-code", help="Only with this reason code.")]
ListedReasonCode = Annotated[
    str, typer.Option("--reason-code", "--reason", help="Only with this reason code.")
]
Code = Annotated[
    str, typer.Option("--code", help="Only with this code of Wix; an HTTP status if it has none.")
]
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


#: The options that select, with their types and defaults. In the commands that act, `--reason` says
#: why it is done; the lists take it for `--reason-code`, too.
OPTIONS: Mapping[str, tuple[Any, Any]] = {
    "store": (Store, ""),
    "order": (Order, ""),
    "refund": (RefundId, ""),
    "reason_code": (ReasonCode, ""),
    "code": (Code, ""),
    "state": (InState, None),
    "transition": (Due, None),
    "since": (Since, ""),
    "until": (Until, ""),
    "text": (Text, ""),
    "amount_over": (AmountOver, ""),
}
_OF_LISTS = {**OPTIONS, "reason_code": (ListedReasonCode, "")}


def selecting(command: Callable[..., None]) -> Callable[..., None]:
    """Give a list these options; it gets what they select as its argument `selection`."""
    return taking(command, _OF_LISTS, "selection", selection_of)


def taking(
    command: Callable[..., None],
    given: Mapping[str, tuple[Any, Any]],
    name: str,
    made_of: Callable[[dict[str, Any]], Any],
) -> Callable[..., None]:
    """Give a command more options; it gets what they make as its argument *name*."""
    hints = get_type_hints(command, include_extras=True)
    own = [each for each in inspect.signature(command).parameters.values() if each.name != name]
    kind = inspect.Parameter.KEYWORD_ONLY

    @wraps(command)
    def inner(**options: Any) -> None:
        named = {option: options.pop(option) for option in given}
        command(**{name: made_of(named)}, **options)

    parameters = [
        inspect.Parameter(option, kind, default=default, annotation=annotation)
        for option, (annotation, default) in given.items()
    ]
    parameters += [each.replace(kind=kind, annotation=hints[each.name]) for each in own]
    inner.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # read by typer
    inner.__annotations__ = {each.name: each.annotation for each in parameters}
    return inner


def selection_of(given: Mapping[str, Any]) -> Selection:
    """Return what the options of a command select."""
    try:
        return filters.selection_of(given)
    except BadFilter as bad:
        fail(f"--{bad.name.replace('_', '-')} takes {bad.takes}", code=2)
