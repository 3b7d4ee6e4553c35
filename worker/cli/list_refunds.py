"""`refunds list`: refunds by what they are, newest first."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from worker.cli import filters
from worker.cli.all_lists import connect_all, list_all
from worker.cli.common import AsJson, Limit, explain_errors
from worker.cli.dead_list import check_after, totals_line
from worker.cli.output import moment, print_json, print_line, print_table
from worker.operations.intake_queue import queued_jobs
from worker.operations.searching import Sort
from worker.operations.selection import Selection
from worker.queue.broker import Broker
from worker.refund.approvals import NEEDS_APPROVAL

EXAMPLE = "Example: refunds list --store SITE_ID --state rejected --since 7d"

#: How many queued jobs are listed.
MOST_QUEUED = 100


@explain_errors
@filters.selecting
def list_refunds(
    selection: Selection,
    *,
    sort: Annotated[Sort, typer.Option(help="The order.")] = "newest",
    limit: Limit = 100,
    all_: filters.All = False,
    after: filters.After = "",
    as_json: AsJson = False,
) -> None:
    """List refunds.

    With --order or --refund also the jobs of these that are still in the queue. --state, --store,
    --order and --refund find quickly; other filters look at each refund in turn.
    """
    check_after(after)
    opened, most = connect_all(), None if all_ else limit
    found = list_all(opened, selection, dead=False, sort=sort, after=after, limit=most)
    # The number of an order is searched for as text.
    named = selection.refund.rstrip("*") or selection.order or selection.text
    queued = [job for broker, _ in opened.values() for job in queued_jobs_of(broker, named)]
    queued = queued[:MOST_QUEUED]
    if as_json:
        print_json({"refunds": found.rows, "queued": queued, **found.totals()})
        return
    _print(found.rows, queued, selection)
    if found.page.total:
        print_line()
        print_line(totals_line("refunds", found.page))


def queued_jobs_of(broker: Broker, named: str) -> list[dict[str, Any]]:
    """Return the queued jobs of a refund or an order, none if none is named."""
    return queued_jobs(broker.client, broker.namespace, named)[:MOST_QUEUED] if named else []


def _print(rows: list[dict[str, Any]], queued: list[dict[str, Any]], selection: Selection) -> None:
    why = ("why",) if selection.reason == NEEDS_APPROVAL else ()
    for row in rows:
        row["state"] += " (on hold)" if row["hold"] else ""
        row["accepted"] = moment(row["accepted_at_ms"], "seconds")
        row["why"] = (row["reason"] or {}).get("detail")
    rows = [*rows, *({**job, "state": "(queued)"} for job in queued)]
    columns = ("refund_id", "order_id", "store_id", "flow", "state", "amount", "currency")
    print_table(
        rows,
        (*columns, "attempts", "accepted", *why),
        may_drop=("store_id", "flow", "attempts", "accepted", "currency", "amount"),
        empty="No refunds." if selection.is_empty else "No refunds match.",
    )
