"""The options that select refunds or dead letters: the same for lists and for acts on many."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from functools import wraps
from typing import Annotated, Any, get_type_hints

import typer

from statemachine.flows import State, Transition
from worker.cli.common import fail
from worker.cli.moments import Since, Until, since_ms
from worker.observability.redaction import redact_text
from worker.operations.selection import Selection

Store = Annotated[str, typer.Option("--store", help="Only of the store with this site ID.")]
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

#: What an option may be, and how to say it. What does not look like an id may be an API key that
#: was pasted in its place; it is not repeated.
_SHAPES = {
    "store": (r"[0-9A-Fa-f-]{36}", "a site ID like 4b296c48-0000-4000-8000-000000000001"),
    "order": (r"[0-9A-Fa-f-]{36}", "an order ID like 67668940-527d-4465-94c6-5475d8c7a412"),
    "refund": (r"[A-Za-z0-9._:~-]{1,100}\*?", "a refund ID, or the beginning of one and *"),
    "reason_code": (r"[a-z_]{1,60}", "a reason code like scope_missing"),
    "code": (
        r"[A-Za-z0-9_.-]{1,80}",
        "a code of Wix like PAYMENT_NOT_REFUNDABLE, or an HTTP status like 428",
    ),
}


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
    texts = {name: given[name].strip() for name in _SHAPES}
    for name, text in texts.items():
        shape, example = _SHAPES[name]
        if text and (not re.fullmatch(shape, text) or redact_text(text) != text):
            fail(f"--{name.replace('_', '-')} takes {example}", code=2)
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
        fail("--amount-over takes a plain decimal like 250 or 19.90", code=2)
    return amount
