"""`refunds dead`: what needs a person."""

from __future__ import annotations

import getpass
import sys
from typing import Annotated

import typer

from worker.cli.common import AsJson, Limit, connect, fail, told
from worker.cli.output import history_rows, print_json, print_record, print_table
from worker.operations import dead_letters

dead = typer.Typer(
    no_args_is_help=True,
    help="Dead letters: list, show, replay.",
    epilog="Example: refunds dead show rf-2024-000123",
)


@dead.command("list", epilog="Example: refunds dead list --json")
@told
def dead_list(limit: Limit = 100, as_json: AsJson = False) -> None:
    """List what needs a person."""
    broker, ledger = connect()
    rows = dead_letters.letters(ledger, broker, limit=limit)
    if as_json:
        print_json({"dead": rows})
        return
    columns = ["id", "kind", "refund_id", "order_id", "reason", "sentence", "remedy"]
    if all(row["refund_id"] == row["id"] for row in rows):
        columns.remove("refund_id")
    print_table(rows, columns, may_drop=("order_id", "kind"))


@dead.command("show", epilog="Example: refunds dead show rf-2024-000123")
@told
def dead_show(letter_id: str, as_json: AsJson = False) -> None:
    """Show one dead letter, why it is one and what to do."""
    broker, ledger = connect()
    letter = dead_letters.find(ledger, broker, letter_id)
    if letter is None:
        fail(f"{letter_id}: {dead_letters.why_not(ledger, letter_id)}")
    if as_json:
        print_json(letter)
        return
    history = letter.pop("history", [])
    letter.pop("refund", None)
    print_record(letter)
    sys.stdout.write("\n")
    print_table(history_rows(history), ("when", "event", "transition", "details"))


@dead.command("replay", epilog="Example: refunds dead replay rf-2024-000123")
@told
def dead_replay(
    letter_ids: Annotated[list[str], typer.Argument(metavar="ID...")],
    by: Annotated[str, typer.Option(help="Who does this.")] = "",
    manual_done: Annotated[
        bool, typer.Option("--manual-done", help="You paid what Wix cannot move: record it.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Let dead letters go on where they died; each looks at Wix before it does anything."""
    broker, ledger = connect()
    results: dict[str, str] = {}
    for letter_id in letter_ids:
        try:
            operator = by or getpass.getuser()
            dead_letters.replay(
                ledger, broker, letter_id, operator=operator, manual_done=manual_done
            )
            results[letter_id] = "replayed"
        except dead_letters.CannotReplay as error:
            results[letter_id] = str(error)
    if as_json:
        print_json({"replayed": results})
    else:
        for letter_id, text in results.items():
            sys.stdout.write(f"{letter_id}: {text}\n")
    if set(results.values()) != {"replayed"}:
        raise typer.Exit(1)
