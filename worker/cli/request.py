"""`refunds request`: put refund jobs on the queue."""

from __future__ import annotations

import getpass
import sys
import uuid
from pathlib import Path
from typing import Annotated

import typer

from worker.cli import job_input
from worker.cli.common import AsJson, connect, explain_errors, fail
from worker.cli.output import print_json
from worker.client import enqueue

EXAMPLE = (
    "Example: refunds request --store 4b296c48-0000-4000-8000-000000000001"
    " --order 67668940-527d-4465-94c6-5475d8c7a412 --reason damaged"
)

Store = Annotated[str, typer.Option(help="Wix site ID.")]
Order = Annotated[str, typer.Option(help="Wix order ID.")]
RefundId = Annotated[
    str, typer.Option(help="Your idempotency key; generated if you do not give one.")
]
Amount = Annotated[
    str, typer.Option(help="Amount to refund instead of the whole order, a plain decimal.")
]
Currency = Annotated[str, typer.Option(help="ISO 4217 code; required with any amount.")]
Line = Annotated[
    list[str] | None,
    typer.Option(help="Line to refund, LINE_ITEM_ID:QUANTITY; repeatable."),
]
Shipping = Annotated[str, typer.Option(help="Shipping to refund, a plain decimal.")]
Fee = Annotated[
    list[str] | None,
    typer.Option(help="Additional fee to refund, FEE_ID or FEE_ID:AMOUNT; repeatable."),
]
ManualPayments = Annotated[
    str,
    typer.Option(
        help="What to do about payments that Wix cannot refund itself: escalate (the default),"
        " or record."
    ),
]
Reason = Annotated[str, typer.Option(help="Why the order is refunded; people may read it.")]
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


@explain_errors
def request(
    store: Store = "",
    order: Order = "",
    refund_id: RefundId = "",
    amount: Amount = "",
    currency: Currency = "",
    line: Line = None,
    shipping: Shipping = "",
    fee: Fee = None,
    manual_payments: ManualPayments = "",
    reason: Reason = "",
    restock: Restock = False,
    notify_buyer: NotifyBuyer = False,
    file: File = None,
    as_json: AsJson = False,
) -> None:
    """Put refund jobs on the queue.

    One job from the options, or all jobs of a file; a file with an error is refused as a whole.
    """
    options = {
        "store_id": store,
        "order_id": order,
        "refund_id": refund_id,
        "amount": amount,
        "currency": currency,
        "lines": [job_input.parse_line(text) for text in line or []],
        "shipping": shipping,
        "additional_fees": [job_input.parse_fee(text) for text in fee or []],
        "manual_payments": manual_payments,
        "reason": reason,
        "restock": restock,
        "notify_buyer": notify_buyer,
    }
    given = {name: value for name, value in options.items() if value not in ("", [], False)}
    _enqueue(given, file, as_json=as_json)


def _enqueue(given: dict[str, object], file: Path | None, *, as_json: bool) -> None:
    """Check the jobs, put them on the queue and print their ids."""
    defaults = {
        "refund_id": f"rf-{uuid.uuid4()}",
        "requested_by": f"refunds request, {getpass.getuser()}",
    }
    try:
        jobs = (
            job_input.from_file(file, given) if file else job_input.from_options(defaults | given)
        )
    except job_input.WrongJobs as error:
        fail(str(error), 2)
    broker, _ = connect()
    for job in jobs:
        enqueue(broker, job)
    ids = [job.refund_id for job in jobs]
    if as_json:
        print_json({"enqueued": ids})
    else:
        sys.stdout.write("".join(f"{refund_id}\n" for refund_id in ids))
