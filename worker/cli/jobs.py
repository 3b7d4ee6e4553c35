"""`refunds jobs`: the bulk acts that the workers do."""

from __future__ import annotations

from typing import Annotated

import typer

from worker.cli.bulk import open_bulk
from worker.cli.cells import in_each_cell, of_job
from worker.cli.common import AsJson, Limit, explain_errors, fail, named
from worker.cli.following import follow, show
from worker.cli.operator import By, OptionalWhy, operator
from worker.cli.output import moment, print_json, print_record, print_table, say
from worker.operations.jobs.freezing import results_of

jobs = typer.Typer(
    no_args_is_help=True,
    help="Bulk acts: list, show, stop, continue.",
    epilog="Example: refunds jobs show job-3f2a9c01d4e5",
)

JobId = Annotated[str, typer.Argument(metavar="JOB_ID", help="Id of the bulk act.")]


@jobs.command("list", epilog="Example: refunds jobs list --json")
@explain_errors
@in_each_cell
def list_jobs(limit: Limit = 100, as_json: AsJson = False) -> None:
    """List the bulk acts, newest first."""
    found = [job.public() for job in open_bulk().jobs.newest(limit)]
    if as_json:
        print_json({"jobs": found})
        return
    for row in found:
        row["created"] = moment(row["created_at_ms"])
    columns = (
        "job_id",
        "act",
        "state",
        "total",
        "done",
        "refused",
        "left",
        "by",
        "created",
        "reason",
    )
    print_table(found, columns, may_drop=("reason", "created", "left"), empty="No bulk acts.")


@jobs.command("show", epilog="Example: refunds jobs show job-3f2a9c01d4e5 --json")
@explain_errors
@of_job
def show_job(job_id: JobId, limit: Limit = 100, as_json: AsJson = False) -> None:
    """Show a bulk act and the result of each item."""
    bulk = open_bulk()
    job = bulk.jobs.find(job_id)
    if job is None:
        fail(f"there is no job {named(job_id)}; `refunds jobs list` shows all")
    if as_json:
        rows = results_of(bulk.jobs, bulk.acts.ledger, job, limit=limit)
        print_json(job.public() | {"items": rows})
        return
    print_record(job.public())
    show(bulk.jobs, bulk.acts.ledger, job)


@jobs.command("stop", epilog="Example: refunds jobs stop job-3f2a9c01d4e5")
@explain_errors
@of_job
def stop(job_id: JobId, by: By = "", reason: OptionalWhy = "", as_json: AsJson = False) -> None:
    """Stop a bulk act: no further item is done."""
    _step("stop", job_id, by, reason, as_json=as_json)


@jobs.command("continue", epilog="Example: refunds jobs continue job-3f2a9c01d4e5")
@explain_errors
@of_job
def go_on(job_id: JobId, by: By = "", reason: OptionalWhy = "", as_json: AsJson = False) -> None:
    """Continue a bulk act that waits after its canary, or was stopped."""
    _step("continue", job_id, by, reason, as_json=as_json)


def _step(step: str, job_id: str, by: str, reason: str, *, as_json: bool) -> None:
    who, bulk = operator(by, reason), open_bulk()
    job = bulk.jobs.find(job_id)
    if job is None:
        fail(f"there is no job {named(job_id)}; `refunds jobs list` shows all")
    act = who.act(f"jobs.{step}", job_id, {"state": job.state, "left": job.left})
    did, state = bulk.jobs.step(job_id, step, act)
    if not did:
        fail(f"{job_id} is {state or 'forgotten'}, so it cannot {step}")
    if as_json:
        print_json({"ok": True, "job_id": job_id, "state": state})
        return
    say(f"{job_id} is {state}; {job.left} left")
    if step == "continue":
        follow(bulk.jobs, bulk.acts.ledger, job_id)
