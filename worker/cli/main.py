"""`refunds`: the commands. They print; what they print is made elsewhere."""

from __future__ import annotations

import getpass
import os
import sys
import uuid
from pathlib import Path
from typing import Annotated

import typer

from statemachine.diagram import mermaid
from statemachine.flows import State
from worker.cli import job_input as jobs
from worker.cli.checks import EXAMPLES, audit, doctor, outcomes
from worker.cli.common import AsJson, Limit, connect, fail, run, told
from worker.cli.dead import dead
from worker.cli.output import history_rows, moment, print_json, print_record, print_table, say
from worker.cli.stores import stores
from worker.client import enqueue
from worker.demo.demo import run_demo
from worker.observability.logs import configure_logs
from worker.simulator.command import print_flags, run_simulator
from worker.simulator.script.reading import Wrong

app = typer.Typer(
    name="refunds",
    help="Refund orders of Wix stores: every refund exactly once, or a person is told why not.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Example: refunds demo; each command's --help has one of its own.",
)
app.add_typer(dead, name="dead")
app.add_typer(stores, name="stores")
for command in (outcomes, audit, doctor):
    app.command(epilog=EXAMPLES[command.__name__])(command)


@app.command(epilog="Example: refunds demo --json | jq .ok")
@told
def demo(as_json: AsJson = False) -> None:
    """Watch seven refunds on an embedded server and the Wix simulator; needs no account."""
    wanted = (
        "json" if as_json else os.environ.get("REFUNDS_LOG_FORMAT") or os.environ.get("LOG_FORMAT")
    )
    configure_logs("json" if wanted == "json" else "console", "info")
    report = run_demo()
    if as_json:
        print_json(report)
    else:
        columns = ("refund_id", "order_id", "flow", "state", "attempts", "wix_calls", "duration_ms")
        print_table(report["refunds"], columns)
        for refund in report["refunds"]:
            if refund["reason"]:
                say(f"{refund['refund_id']}: {refund['sentence']} ({refund['wix_code']})")
        say("All as it must be, by Wix's own books." if report["ok"] else "")
    if not report["ok"]:
        say("\n".join(report["wrong"]))
        raise typer.Exit(1)


@app.command(
    epilog="Example: refunds request --store 4b296c48-0000-4000-8000-000000000001"
    " --order 67668940-527d-4465-94c6-5475d8c7a412 --reason damaged"
)
@told
def request(
    store: Annotated[str, typer.Option(help="The Wix site id.")] = "",
    order: Annotated[str, typer.Option(help="The Wix order id.")] = "",
    refund_id: Annotated[
        str, typer.Option(help="Your idempotency key; made up if not given.")
    ] = "",
    amount: Annotated[str, typer.Option(help="A part of the order, a plain decimal.")] = "",
    currency: Annotated[str, typer.Option(help="ISO 4217 code; needed with --amount.")] = "",
    line: Annotated[
        list[str] | None, typer.Option(help="LINE_ITEM_ID:QUANTITY; repeatable.")
    ] = None,
    shipping: Annotated[str, typer.Option(help="Shipping to refund, a plain decimal.")] = "",
    fee: Annotated[
        list[str] | None, typer.Option(help="FEE_ID or FEE_ID:AMOUNT; repeatable.")
    ] = None,
    manual_payments: Annotated[
        str, typer.Option(help="What Wix cannot move itself: escalate (default) or record.")
    ] = "",
    reason: Annotated[str, typer.Option(help="Why, in your words.")] = "",
    restock: Annotated[bool, typer.Option("--restock", help="Put the units back.")] = False,
    notify_buyer: Annotated[bool, typer.Option("--notify-buyer", help="Wix e-mails.")] = False,
    file: Annotated[
        Path | None,
        typer.Option(
            help="JSON lines, a job each, and no other option.", exists=True, dir_okay=False
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Put one refund job on the queue, or a file of them; one wrong line refuses the file."""
    given = {
        "store_id": store,
        "order_id": order,
        "refund_id": refund_id or ("" if file else f"rf-{uuid.uuid4()}"),
        "amount": amount,
        "currency": currency,
        "lines": [jobs.parse_line(text) for text in line or []],
        "shipping": shipping,
        "additional_fees": [jobs.parse_fee(text) for text in fee or []],
        "manual_payments": manual_payments,
        "reason": reason,
        "restock": restock,
        "notify_buyer": notify_buyer,
        "requested_by": "" if file else f"refunds request, {getpass.getuser()}",
    }
    try:
        requests = jobs.read(given, file)
    except jobs.WrongJobs as error:
        fail(str(error), 2)
    broker, _ = connect()
    for checked in requests:
        enqueue(broker, checked)
    ids = [checked.refund_id for checked in requests]
    if as_json:
        print_json({"enqueued": ids})
    else:
        sys.stdout.write("".join(f"{refund}\n" for refund in ids))


@app.command(epilog="Example: refunds show rf-2024-000123")
@told
def show(refund_id: str, as_json: AsJson = False) -> None:
    """Show one refund: its record and its history."""
    _, ledger = connect()
    refund = ledger.load(refund_id)
    if refund is None:
        fail(
            f"there is no refund {refund_id}; `refunds dead list` shows jobs that never became one"
        )
    history = ledger.history(refund_id)
    if as_json:
        print_json(refund.public() | {"history": history})
        return
    print_record(refund.public())
    sys.stdout.write("\n")
    print_table(history_rows(history), ("when", "event", "transition", "details"))


@app.command("list", epilog="Example: refunds list --state dead --limit 20")
@told
def list_refunds(
    state: Annotated[State | None, typer.Option(help="Only these.")] = None,
    store: Annotated[str, typer.Option(help="Only this store's.")] = "",
    limit: Limit = 100,
    as_json: AsJson = False,
) -> None:
    """List refunds, newest first."""
    _, ledger = connect()
    found = ledger.newest(state=state, store_id=store.lower() or None, limit=limit)
    rows = [refund.public() for refund in found]
    if as_json:
        print_json({"refunds": rows})
        return
    for row in rows:
        row["accepted"] = moment(row["accepted_at_ms"])
    columns = ("refund_id", "order_id", "store_id", "flow", "state", "attempts", "accepted")
    print_table(rows, columns, may_drop=("store_id", "accepted", "attempts", "flow"))


@app.command(epilog="Example: refunds simulator --port 8091 --flag cancel_twice=428")
def simulator(
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 is a free one.")] = 8091,
    orders: Annotated[
        int | None, typer.Option(min=0, help="Sample orders of both flows; 4 if not said.")
    ] = None,
    scenario: Annotated[
        Path | None, typer.Option(help="A TOML file of stores, orders and faults instead.")
    ] = None,
    flag: Annotated[
        list[str] | None, typer.Option(help="An unknown of Wix, name=value; may be repeated.")
    ] = None,
    flags: Annotated[bool, typer.Option("--flags", help="List these unknowns, and stop.")] = False,
    as_json: AsJson = False,
) -> None:
    """Run Wix on loopback until Ctrl-C; prints what to put into the environment, and its orders."""
    if flags:
        print_flags(as_json=as_json)
        return
    try:
        run_simulator(
            port=port, orders=orders, scenario=scenario, flags=flag or [], as_json=as_json
        )
    except Wrong as error:
        fail(str(error), 2)


@app.command(epilog="Example: refunds diagram > states.mmd")
def diagram(as_json: AsJson = False) -> None:
    """Draw the state machine, as Mermaid."""
    if as_json:
        print_json({"mermaid": mermaid()})
    else:
        sys.stdout.write(mermaid())


def main() -> None:
    """The entry point of the script `refunds`."""
    configure_logs(None, "warning")
    run(app)
