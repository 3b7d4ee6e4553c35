"""`refunds dead resolve|discard`: close dead letters that are not replayed."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

import typer

from worker.cli.bulk import do
from worker.cli.cells import in_cells_of_chosen
from worker.cli.choosing import Chosen, chooses
from worker.cli.common import AsJson, connect_acts, explain_errors, fail
from worker.cli.operator import By, Why, operator
from worker.cli.store_desk import open_wix_desk
from worker.observability.redaction import redact_text
from worker.operations.acts import letters
from worker.operations.acts.letters import Paid
from worker.upstream import rules

EXAMPLES = {
    "resolve": "Example: refunds dead resolve rf-2024-000123 --amount 39.98 --currency USD"
    ' --reason "paid by bank transfer"',
    "discard": 'Example: refunds dead discard rf-2024-000123 --reason "sent by mistake"',
}

Amount = Annotated[
    str, typer.Option(help="What was paid back elsewhere, a plain decimal; 0 for nothing.")
]
Currency = Annotated[str, typer.Option(help="ISO 4217 code of its currency.")]


@explain_errors
@chooses
@in_cells_of_chosen
def resolve(
    chosen: Chosen,
    amount: Amount = "",
    currency: Currency = "",
    by: By = "",
    reason: Why = "",
    as_json: AsJson = False,
) -> None:
    """Close dead letters that you have settled elsewhere. Upstream is told what was done.

    Wix is asked what it shows, which is recorded, too. Money that our own refund has moved is not
    settled elsewhere: such a letter must be replayed.
    """
    paid = paid_from(amount, currency)
    if paid.amount is None:
        fail("say how much was paid back elsewhere, with --amount: 0 for nothing", code=2)
    if paid.amount and (chosen.is_bulk or len(chosen.ids) > 1):
        fail("--amount is of one refund, so it takes one ID; only 0 can be of several", code=2)
    who, acts, desk = operator(by, reason, needs_reason=True), connect_acts(), open_wix_desk()

    def act(letter_id: str) -> str:
        shown = letters.resolve(acts, letter_id, operator=who, paid=paid, desk=desk)
        return f"resolved; {shown}"

    do(
        "dead.resolve",
        chosen,
        who,
        act,
        done="resolved",
        arguments={"amount": f"{paid.amount:f}"},
        as_json=as_json,
    )


@explain_errors
@chooses
@in_cells_of_chosen
def discard(chosen: Chosen, by: By = "", reason: Why = "", as_json: AsJson = False) -> None:
    """Give up dead letters; upstream is told. Also messages that never became a refund."""
    who, acts = operator(by, reason, needs_reason=True), connect_acts()

    def act(letter_id: str) -> str:
        letters.discard(acts, letter_id, operator=who)
        return "discarded"

    do("dead.discard", chosen, who, act, done="discarded", as_json=as_json)


def paid_from(amount: str, currency: str) -> Paid:
    """Return what a person says was paid; fail if it is no amount or has no currency."""
    if not amount:
        return Paid()
    if not rules.AMOUNT.fullmatch(amount):
        fail(f"--amount takes a plain decimal like 39.98, not {redact_text(amount[:50])}", code=2)
    value = Decimal(amount)
    if value and not rules.CURRENCY.fullmatch(currency):
        fail("--amount needs --currency, an ISO 4217 code like USD", code=2)
    return Paid(value, currency if value else "")
