"""`refunds retry|cancel|hold|release|edit|pause|resume`: what people do to refunds that run."""

from __future__ import annotations

from typing import Annotated

import typer

from worker.cli.bulk import do
from worker.cli.cells import in_cells_of_chosen, in_each_cell
from worker.cli.choosing import Chosen, chooses
from worker.cli.common import AsJson, connect_acts, explain_errors, fail
from worker.cli.operator import By, OptionalWhy, Why, operator
from worker.cli.output import print_json, say
from worker.ledger.acts import ALL_STORES
from worker.operations.acts import letters, refunds, stores
from worker.operations.acts.refusals import CannotAct

EXAMPLES = {
    "retry": "Example: refunds retry --store SITE_ID --rate 2",
    "cancel": 'Example: refunds cancel rf-2024-000123 --reason "ordered by mistake"',
    "hold": 'Example: refunds hold rf-2024-000123 --reason "the buyer called"',
    "release": "Example: refunds release rf-2024-000123",
    "edit": 'Example: refunds edit rf-2024-000123 --no-restock --reason "the goods are damaged"',
    "pause": 'Example: refunds pause --all --reason "incident 17"',
    "resume": "Example: refunds resume --all",
}


@explain_errors
@chooses
@in_cells_of_chosen
def retry(chosen: Chosen, by: By = "", reason: OptionalWhy = "", as_json: AsJson = False) -> None:
    """Let refunds that wait for a retry go now."""
    who, acts = operator(by, reason), connect_acts()

    def act(refund_id: str) -> str:
        refunds.retry(acts, refund_id, operator=who)
        return "goes now"

    do("retry", chosen, who, act, done="retried", as_json=as_json)


@explain_errors
@chooses
@in_cells_of_chosen
def cancel(chosen: Chosen, by: By = "", reason: Why = "", as_json: AsJson = False) -> None:
    """Call off refunds that wait and have changed nothing at Wix.

    One that may have changed something is refused, and the reason is given.
    """
    who, acts = operator(by, reason, needs_reason=True), connect_acts()

    def act(refund_id: str) -> str:
        refunds.cancel(acts, refund_id, operator=who)
        return "called off"

    do("cancel", chosen, who, act, done="cancelled", as_json=as_json)


@explain_errors
@chooses
@in_cells_of_chosen
def hold(chosen: Chosen, by: By = "", reason: Why = "", as_json: AsJson = False) -> None:
    """Stop refunds where they are, until they are released. A running step finishes first."""
    who, acts = operator(by, reason, needs_reason=True), connect_acts()
    do(
        "hold",
        chosen,
        who,
        lambda each: refunds.hold(acts, each, operator=who),
        done="held",
        as_json=as_json,
    )


@explain_errors
@chooses
@in_cells_of_chosen
def release(chosen: Chosen, by: By = "", reason: OptionalWhy = "", as_json: AsJson = False) -> None:
    """Let refunds on hold go on, in order of arrival."""
    who, acts = operator(by, reason), connect_acts()

    def act(refund_id: str) -> str:
        refunds.release(acts, refund_id, operator=who)
        return "released"

    do("release", chosen, who, act, done="released", as_json=as_json)


@explain_errors
@chooses
@in_cells_of_chosen
def edit(
    chosen: Chosen,
    manual_payments: Annotated[
        str | None, typer.Option(help="escalate, or record; see `refunds request --help`.")
    ] = None,
    restock: Annotated[
        bool | None, typer.Option("--restock/--no-restock", help="Return the units or not.")
    ] = None,
    notify_buyer: Annotated[
        bool | None,
        typer.Option("--notify-buyer/--no-notify-buyer", help="Let Wix e-mail the buyer or not."),
    ] = None,
    customer_reason: Annotated[
        str | None, typer.Option(help="The reason in the job, which the buyer may see.")
    ] = None,
    by: By = "",
    reason: Why = "",
    as_json: AsJson = False,
) -> None:
    """Correct the jobs of dead letters before they are replayed.

    Never the order, the store or an amount. A repeat of the job as it was sent stays a duplicate.
    """
    given = {
        "manual_payments": manual_payments,
        "restock": restock,
        "notify_buyer": notify_buyer,
        "reason": customer_reason,
    }
    changes = {name: value for name, value in given.items() if value is not None}
    if not changes:
        fail("say what to change; see refunds edit --help", code=2)
    who, acts = operator(by, reason, needs_reason=True), connect_acts()

    def act(letter_id: str) -> str:
        before = letters.edit(acts, letter_id, changes, operator=who)
        return "edited; before: " + ", ".join(f"{name}={old}" for name, old in before.items())

    do("edit", chosen, who, act, done="edited", arguments=changes, as_json=as_json)


All = Annotated[bool, typer.Option("--all", help="Required: it says that all stores are meant.")]


@explain_errors
@in_each_cell
def pause(every: All = False, by: By = "", reason: Why = "", as_json: AsJson = False) -> None:
    """Let the refunds of all stores wait. Jobs are still accepted, and running steps finish.

    Nothing is lost, and no attempt is spent. For one store: refunds stores pause SITE_ID
    """
    _all_must_be_said(every, "refunds stores pause SITE_ID")
    who, acts = operator(by, reason, needs_reason=True), connect_acts()
    try:
        stores.pause(acts, ALL_STORES, operator=who)
    except CannotAct as refusal:
        fail(f"everything {refusal}")
    _print_done("paused", as_json=as_json)


@explain_errors
@in_each_cell
def resume(
    every: All = False, by: By = "", reason: OptionalWhy = "", as_json: AsJson = False
) -> None:
    """End the pause of all stores. A store that is paused by itself stays paused."""
    _all_must_be_said(every, "refunds stores resume SITE_ID")
    who, acts = operator(by, reason), connect_acts()
    if not stores.unpause(acts, ALL_STORES, operator=who):
        fail("there is no pause of all stores; `refunds stores list` shows those that are paused")
    _print_done("resumed", as_json=as_json)


def _all_must_be_said(every: bool, instead: str) -> None:
    if not every:
        fail(f"say --all; for one store: {instead}", code=2)


def _print_done(word: str, *, as_json: bool) -> None:
    if as_json:
        print_json({"ok": True, "stores": "all", "done": word})
    say(f"all stores {word}")
