"""`refunds request`: put refund jobs on the queue."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import redis
import typer
from dramatiq.errors import ConnectionClosed

from worker.cli import job_input
from worker.cli.common import AsJson, connect, explain_errors, fail, user_name
from worker.cli.output import print_json, print_line, say
from worker.client import enqueue
from worker.queue.server_errors import explain
from worker.refund.approvals import BY_COMMAND

EXAMPLE = (
    "Example: refunds request --store 4b296c48-0000-4000-8000-000000000001"
    " --order 67668940-527d-4465-94c6-5475d8c7a412 --reason damaged"
)

Store = Annotated[str | None, typer.Option(help="Wix site ID.")]
Order = Annotated[str | None, typer.Option(help="Wix order ID.")]
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
        help="File with one job per line, in JSON; excludes all other options but --json.",
        exists=True,
        dir_okay=False,
    ),
]


#: The options whose value is a text, by the field of the job.
TEXT_OPTIONS = {
    "store_id": "--store",
    "order_id": "--order",
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
    as_json: AsJson = False,
) -> None:
    """Put refund jobs on the queue.

    One job from the options, or all jobs of a file; a file with an error is refused as a whole.
    """
    texts = dict(
        zip(
            TEXT_OPTIONS,
            (store, order, refund_id, amount, currency, shipping, manual_payments, reason),
            strict=True,
        )
    )
    _refuse_empty(texts, line, fee)
    options: dict[str, object] = {
        **texts,
        "lines": [job_input.parse_line(text) for text in line or []] or None,
        "additional_fees": [job_input.parse_fee(text) for text in fee or []] or None,
        "restock": restock or None,
        "notify_buyer": notify_buyer or None,
    }
    given = {name: value for name, value in options.items() if value is not None}
    if file:
        _enqueue_file(file, given, as_json=as_json)
    else:
        _enqueue_one(given, as_json=as_json)


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


def _enqueue_file(file: Path, given: Mapping[str, object], *, as_json: bool) -> None:
    try:
        jobs = job_input.from_file(file, given)
    except job_input.WrongJobs as error:
        fail(*error.problems, code=2)
    broker, _ = connect()
    for job in jobs:
        enqueue(broker, job)
    _print_ids([job.refund_id for job in jobs], as_json=as_json)


def _enqueue_one(given: Mapping[str, object], *, as_json: bool) -> None:
    """Send the job that the options describe; a generated id is printed before anything is sent."""
    generated = f"rf-{uuid.uuid4()}"
    defaults = {
        "refund_id": generated,
        "requested_by": f"{BY_COMMAND}{user_name()}",
    }
    try:
        [job] = job_input.from_options({**defaults, **given})
    except job_input.WrongJobs as error:
        fail(*error.problems, code=2)
    broker, _ = connect()
    if job.refund_id == generated and not as_json:
        say(f"the refund ID is {generated}")
    try:
        enqueue(broker, job)
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
