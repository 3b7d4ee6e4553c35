"""`refunds dead`: list, show and replay dead letters."""

from __future__ import annotations

from typing import Annotated

import typer

from worker.app import ledger_from, stores_from
from worker.cli.bulk import do, ids_of
from worker.cli.cells import in_cells_of_chosen, of_refund
from worker.cli.choosing import Chosen, chooses
from worker.cli.common import (
    AsJson,
    close_at_end,
    connect_acts,
    explain_errors,
    fail,
    named,
    settings,
)
from worker.cli.completion import dead_ids
from worker.cli.dead_ends import EXAMPLES, discard, resolve
from worker.cli.dead_list import EXAMPLE, dead_list
from worker.cli.dry_run import print_foreseen
from worker.cli.operator import By, Why, operator
from worker.cli.output import print_json, print_record
from worker.cli.show import print_refund
from worker.operations import dead_letters
from worker.operations.describing import describe
from worker.operations.timeline import flat

DeadId = Annotated[
    str, typer.Argument(metavar="ID", autocompletion=dead_ids, help="Id of the dead letter.")
]

dead = typer.Typer(
    no_args_is_help=True,
    help="Dead letters: list, show, replay, resolve, discard.",
    epilog="Example: refunds dead show rf-2024-000123",
)


dead.command("list", epilog=EXAMPLE)(dead_list)


@dead.command("show", epilog="Example: refunds dead show rf-2024-000123")
@explain_errors
@of_refund
def dead_show(letter_id: DeadId, as_json: AsJson = False) -> None:
    """Show a dead letter: its remedy, its amounts, its timeline."""
    given = settings()
    broker, ledger = ledger_from(given)
    close_at_end(broker.client.close)
    letter = dead_letters.find(ledger, broker, letter_id)
    if letter is None:
        fail(f"{named(letter_id)}: {dead_letters.why_not(ledger, letter_id)}")
    if as_json:
        print_json(letter)
        return
    refund = ledger.load(letter_id) if letter["kind"] == "refund" else None
    if refund:
        print_refund(
            describe(refund, ledger.history(refund.refund_id), broker, stores_from(given, broker))
        )
    else:
        print_record({name: flat(value) for name, value in letter.items()})


ManualDone = Annotated[
    bool,
    typer.Option(
        "--manual-done",
        help="You have paid the buyer outside of Wix what Wix cannot refund; Wix only records it."
        " Applies to the reason manual_payment.",
    ),
]
NotDone = Annotated[
    bool,
    typer.Option(
        "--not-done",
        help="You have looked at the order in the Wix dashboard: the refund was not made, and is to"
        " be sent again. Applies to the reason outcome_unknown and to one ID; without it, such a"
        " letter only looks at Wix again.",
    ),
]


DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run", help="Ask Wix now, change nothing, and say in money what would happen."
    ),
]


@dead.command(
    "replay", epilog='Example: refunds dead replay rf-2024-000123 --reason "the key is back"'
)
@explain_errors
@chooses
@in_cells_of_chosen
def dead_replay(
    chosen: Chosen,
    by: By = "",
    reason: Why = "",
    manual_done: ManualDone = False,
    not_done: NotDone = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Resume dead letters where they stopped. Each one checks Wix first.

    IDs are done at once. What --file, filters or --all name is frozen, confirmed, and done by the
    workers at --rate; refunds jobs shows it.
    """
    if not_done and (chosen.is_bulk or len(chosen.ids) > 1):
        fail(
            "--not-done takes one ID: look at each order before you say that nothing was done",
            code=2,
        )
    if dry_run:
        print_foreseen(ids_of(chosen), manual_done=manual_done, not_done=not_done, as_json=as_json)
        return
    who, acts = operator(by, reason, needs_reason=True), connect_acts()

    def act(letter_id: str) -> str:
        dead_letters.replay(
            acts, letter_id, operator=who, manual_done=manual_done, not_done=not_done
        )
        return "replayed"

    do(
        "dead.replay",
        chosen,
        who,
        act,
        done="replayed",
        arguments={"manual_done": manual_done},
        as_json=as_json,
    )


for command in (resolve, discard):
    dead.command(epilog=EXAMPLES[command.__name__])(command)
