"""`refunds show`: one refund, with its money, what it waits for, and its timeline."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

import typer

from worker.app import ledger_from, stores_from
from worker.cli.all_lists import search_for
from worker.cli.cells import of_refund
from worker.cli.common import AsJson, close_at_end, explain_errors, fail, named, settings
from worker.cli.completion import refund_ids
from worker.cli.filters import selection_of
from worker.cli.forgotten import archived
from worker.cli.output import moment, print_json, print_line, print_record, print_table
from worker.observability.redaction import redact
from worker.operations import timeline
from worker.operations.describing import describe, store_state
from worker.operations.durations import ago, span
from worker.operations.intake_queue import queued_jobs
from worker.queue.broker import Broker

EXAMPLE = "Example: refunds show rf-2024-000123"

RefundId = Annotated[
    str,
    typer.Argument(
        metavar="REFUND_ID",
        autocompletion=refund_ids,
        help="Id of the refund.",
        show_default=False,
    ),
]


@explain_errors
@of_refund
def show(
    refund_id: RefundId = "",
    order: Annotated[
        str, typer.Option("--order", help="Instead of a refund's id: the id of its order.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Show one refund: amounts, what it waits for, timeline.

    Also one that is still in the queue.
    """
    if bool(refund_id) == bool(order):
        fail("give either a refund's id or --order", code=2)
    order = selection_of({"order": order}).order
    sought = f"of order {order}" if order else named(refund_id)
    given = settings()
    broker, ledger = ledger_from(given)
    close_at_end(broker.client.close)
    queued: list[dict[str, Any]] = []
    if order:
        refund_id, queued = _of_order(broker, order)
    refund = ledger.load(refund_id) if refund_id else None
    history, archived_in = ledger.history(refund_id) if refund else [], None
    if refund is None and refund_id and (left := ledger.tombstone(refund_id)):
        place = archived(given, refund_id, left, as_json=as_json)
        refund, history, archived_in = place.archived.refund, place.archived.history, place.path
    if refund is None:
        _show_queued(queued or queued_jobs(broker.client, broker.namespace, refund_id), as_json)
        fail(
            f"there is no refund {sought}, and no job of it in the queue;"
            " `refunds dead list` shows jobs that were not accepted, and `refunds archive find`"
            " looks among the refunds that the ledger has forgotten"
        )
    told = describe(refund, history, broker, stores_from(given, broker))
    told["archived_in"] = str(archived_in) if archived_in else None
    if as_json:
        print_json(told)
    else:
        print_refund(told)


def _of_order(broker: Broker, order_id: str) -> tuple[str, list[dict[str, Any]]]:
    """Return the refund of an order; if there are several, name them and end."""
    ids = search_for(broker).of_order(order_id)
    queued = queued_jobs(broker.client, broker.namespace, order_id)
    if len(ids) + len(queued) > 1:
        fail(
            f"order {named(order_id)} has {len(ids)} refunds and {len(queued)} queued jobs:"
            f" {', '.join([*ids, *(str(job['refund_id']) for job in queued)][:20])}",
            f"`refunds list --order {named(order_id)}` lists them",
        )
    return (ids[0] if ids else ""), queued


def _show_queued(jobs: list[dict[str, Any]], as_json: bool) -> None:
    """Show a job that waits in the queue, if there is one, and end."""
    if not jobs:
        return
    job = jobs[0] | {"state": "queued"}
    if as_json:
        print_json(job)
    else:
        print_line(
            f"{job['refund_id']} is in the queue since {moment(job['queued_at_ms'], 'seconds')},"
            f" {job['before']:,} before it."
        )
        print_record(job)
    raise typer.Exit


def print_refund(told: Mapping[str, Any]) -> None:
    """Print a refund for people: money first, the timeline last."""
    money, waits, store, now_ms = (told[n] for n in ("money", "waits", "store", "at_ms"))
    reason, request = told["reason"] or {}, told["request"]
    state = told["state"] + (f" (died in {told['died_in']})" if told["died_in"] else "")
    print_record(
        {
            "refund_id": told["refund_id"],
            **{name: value for name, value in money.items() if name != "payments"},
            "payments": "; ".join(timeline.flat(list(p.values())) for p in money["payments"]),
            "state": state,
            "effect": told["effect"],
            "waits for": _waits(told["refund_id"], waits),
            "store": f"{told['store_id']} ({_store(store, now_ms)})",
            "order_id": told["order_id"],
            "archived in": told.get("archived_in"),
            "flow": told["flow"],
            "accepted_at_ms": told["accepted_at_ms"],
            "updated_at_ms": told["updated_at_ms"],
            "attempts": told["attempts"],
            "wix_calls": told["wix_calls"],
            "requested_by": request["requested_by"],
            "job's reason": request["reason"],
            "metadata": timeline.flat(redact(request["metadata"])),
            **{name: timeline.flat(value) for name, value in reason.items()},
        }
    )
    print_line()
    print_timeline(told["timeline"])


def _waits(refund_id: str, waits: Mapping[str, Any]) -> str:
    if waits["next_in_ms"] is None:
        return str(waits["for"])
    now = f"`refunds retry {refund_id}` for now"
    if waits["is_fixed"]:
        now = "nothing shortens this wait"
    next_look = f"next look in {span(waits['next_in_ms'])}; {now}"
    return f"{waits['for']}; {next_look}"


def _store(store: Mapping[str, Any], now_ms: int) -> str:
    parts = [store_state(store["state"])]
    if store["suspended_since_ms"]:
        parts[0] += f" since {moment(store['suspended_since_ms'], 'seconds')}"
    if store["last_success_at_ms"]:
        parts.append(f"last success {ago(store['last_success_at_ms'], now_ms)} ago")
    if store["last_error_at_ms"]:
        parts.append(f"last error {ago(store['last_error_at_ms'], now_ms)} ago")
    return ", ".join([*parts, f"{store['waiting']} wait, {store['in_flight']} in flight"])


def print_timeline(lines: Iterable[Mapping[str, Any]]) -> None:
    """Print a timeline as a table."""
    rows = [
        {
            "when": moment(line["at_ms"], "seconds"),
            "after": span(line["after_ms"]) if line["after_ms"] is not None else "",
            "event": line["event"],
            "step": line["transition"] or "",
            "what": line["what"]
            + (f"; waits {span(line['waits_ms'])}" if line["waits_ms"] else ""),
            "wix_request_id": line["wix_request_id"] or "",
        }
        for line in lines
    ]
    columns = ("when", "after", "event", "step", "what", "wix_request_id")
    print_table(rows, columns, may_drop=("when", "wix_request_id", "step"))
