"""`refunds request`: put refund jobs on the queue."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import redis
import typer
from dramatiq.errors import ConnectionClosed

from worker.app import producers_from
from worker.cli import job_input
from worker.cli.common import AsJson, connect, explain_errors, fail, settings, user_name
from worker.cli.output import print_json, print_line, say
from worker.cli.request_file import Options, request_file
from worker.client import enqueue
from worker.queue.server_errors import explain
from worker.refund.approvals import BY_COMMAND

EXAMPLE = (
    "Example: refunds request --store 4b296c48-0000-4000-8000-000000000001"
    " --order 67668940-527d-4465-94c6-5475d8c7a412 --reason damaged"
)

Store = Annotated[str | None, typer.Option(help="Wix site ID.")]
Order = Annotated[str | None, typer.Option(help="Wix order ID.")]
OrderNumber = Annotated[
    str | None,
    typer.Option(help="Number of the order, as the dashboard shows it, instead of --order."),
]
RefundId = Annotated[
    str | None, typer.Option(help="Your idempotency key; generated if you do not give one.")
]
Amount = Annotated[
    str | None, typer.Option(help="Amount to refund instead of the whole order, a plain decimal.")
]
Currency = Annotated[str | None, typer.Option(help="ISO 4217 code; required with any amount.")]
Line = Annotated[
    list[str] | None,
    typer.Option(help="Line to refund, LINE_ITEM_ID:QUANTITY; repeatable."),
]
Shipping = Annotated[str | None, typer.Option(help="Shipping to refund, a plain decimal.")]
Fee = Annotated[
    list[str] | None,
    typer.Option(help="Additional fee to refund, FEE_ID or FEE_ID:AMOUNT; repeatable."),
]
ManualPayments = Annotated[
    str | None,
    typer.Option(
        help="What to do about payments that Wix cannot refund itself: escalate (the default),"
        " or record."
    ),
]
Reason = Annotated[str | None, typer.Option(help="Why the order is refunded; people may read it.")]
Restock = Annotated[bool, typer.Option("--restock", help="Return the units to Wix's inventory.")]
NotifyBuyer = Annotated[
    bool, typer.Option("--notify-buyer", help="Let Wix send an email to the buyer.")
]
File = Annotated[
    Path | None,
    typer.Option(
        help="File of jobs: one per line in JSON, or CSV with the fields in the first line; - for"
        " standard input. Excludes the options that describe a job.",
    ),
]
DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run", help="Check the file, add it up by store and currency; send nothing."
    ),
]
SkipRefused = Annotated[
    bool, typer.Option("--skip-refused", help="Send the others if a line of the file is refused.")
]
AfterLine = Annotated[int, typer.Option(min=0, help="Send only the lines after this one.")]
Report = Annotated[
    Path | None,
    typer.Option(help="File for the refused lines, as CSV.", dir_okay=False, writable=True),
]


#: The options whose value is a text, by the field of the job.
TEXT_OPTIONS = {
    "store_id": "--store",
    "order_id": "--order",
    "order_number": "--order-number",
    "refund_id": "--refund-id",
    "amount": "--amount",
    "currency": "--currency",
    "shipping": "--shipping",
    "manual_payments": "--manual-payments",
    "reason": "--reason",
}


@explain_errors
def request(
    store: Store = None,
    order: Order = None,
    order_number: OrderNumber = None,
    refund_id: RefundId = None,
    amount: Amount = None,
    currency: Currency = None,
    line: Line = None,
    shipping: Shipping = None,
    fee: Fee = None,
    manual_payments: ManualPayments = None,
    reason: Reason = None,
    restock: Restock = False,
    notify_buyer: NotifyBuyer = False,
    file: File = None,
    dry_run: DryRun = False,
    skip_refused: SkipRefused = False,
    after_line: AfterLine = 0,
    report: Report = None,
    as_json: AsJson = False,
) -> None:
    """Put refund jobs on the queue, from options or from a file.

    A file with an error is refused as a whole, unless --skip-refused is given. It may be sent again
    at any time, for example after Ctrl-C: each refund_id counts once.
    """
    order_texts = (store, order, order_number, refund_id)
    texts = (*order_texts, amount, currency, shipping, manual_payments, reason)
    given = _given(dict(zip(TEXT_OPTIONS, texts, strict=True)), line, fee)
    flags = {"restock": restock, "notify_buyer": notify_buyer}
    given |= {name: True for name, is_given in flags.items() if is_given}
    if file:
        _refuse_beside_file(given)
        request_file(Options(file, dry_run, skip_refused, after_line, report, as_json))
    elif dry_run or skip_refused or after_line or report:
        fail("--dry-run, --skip-refused, --after-line and --report are only for a --file", code=2)
    else:
        _enqueue_one(given, as_json=as_json)


def _given(
    texts: Mapping[str, str | None], lines: Sequence[str] | None, fees: Sequence[str] | None
) -> dict[str, object]:
    """Return the fields of the job that the options give."""
    _refuse_empty(texts, lines, fees)
    options: dict[str, object] = {
        **texts,
        "lines": [job_input.parse_line(text) for text in lines or []] or None,
        "additional_fees": [job_input.parse_fee(text) for text in fees or []] or None,
    }
    return {name: value for name, value in options.items() if value is not None}


def _refuse_beside_file(given: Mapping[str, object]) -> None:
    if given:
        fail(
            "--file cannot be combined with options that describe a job"
            f" ({', '.join(given)}): put these fields into the file",
            code=2,
        )


def _refuse_empty(
    texts: Mapping[str, str | None], lines: Sequence[str] | None, fees: Sequence[str] | None
) -> None:
    """Refuse an option that is given without a value, as with an unset variable of a shell.

    It must not be taken as not given: without an amount, the whole order is refunded.
    """
    given = [(TEXT_OPTIONS[name], text) for name, text in texts.items()]
    given += [("--line", text) for text in lines or ()] + [("--fee", text) for text in fees or ()]
    for option, text in given:
        if text is not None and not text.strip():
            fail(f"{option} was given without a value; leave it out, or give it one", code=2)
    for text in fees or ():
        if text.endswith(":"):
            fail(
                f"--fee {text} has no amount; without the colon, the whole fee is refunded", code=2
            )


def _enqueue_one(given: Mapping[str, object], *, as_json: bool) -> None:
    """Send the job that the options describe; a generated id is printed before anything is sent."""
    generated = f"rf-{uuid.uuid4()}"
    defaults = {
        "refund_id": generated,
        "requested_by": f"{BY_COMMAND}{settings().operator or user_name()}",
    }
    try:
        [job] = job_input.from_options({**defaults, **given})
    except job_input.WrongJobs as error:
        fail(*error.problems, code=2)
    broker, _ = connect()
    if job.refund_id == generated and not as_json:
        say(f"the refund ID is {generated}")
    try:
        enqueue(broker, job, producers_from(settings()).signer(job.store_id))
    except (redis.RedisError, ConnectionClosed) as error:
        repeat = (
            f"{explain(error)}; it is not known whether the job was sent: repeat the command"
            f" with --refund-id {job.refund_id}"
        )
        fail(repeat, refund_id=job.refund_id)
    _print_ids([job.refund_id], as_json=as_json)


def _print_ids(ids: list[str], *, as_json: bool) -> None:
    if as_json:
        print_json({"enqueued": ids})
    else:
        for refund_id in ids:
            print_line(refund_id)
