"""Show how a job of the workers goes on, on a terminal; it goes on without anybody looking."""

from __future__ import annotations

import sys
import threading

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from worker.cli.output import print_table, say
from worker.ledger.jobs import Job, Jobs
from worker.ledger.records import Records
from worker.operations.jobs.freezing import results_of

#: How often to look.
LOOK_S = 0.3
#: How many results of a canary are shown.
MOST_SHOWN = 50


def follow(jobs: Jobs, records: Records, job_id: str) -> None:
    """On a terminal, show a progress bar until the job ends or waits; Ctrl-C leaves it alone."""
    if not sys.stdout.isatty():
        return
    pause = threading.Event()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as bar:
        task = bar.add_task("done")
        while (job := jobs.find(job_id)) and job.state == "running":
            bar.update(task, total=job.total, completed=job.done + job.refused)
            pause.wait(LOOK_S)
        if job:
            bar.update(task, total=job.total, completed=job.done + job.refused)
    if job:
        show(jobs, records, job)


def show(jobs: Jobs, records: Records, job: Job) -> None:
    """Print the results so far, and what to do next."""
    rows = results_of(jobs, records, job, limit=MOST_SHOWN)
    print_table(rows, ("id", "result", "now", "amount", "currency", "text"), may_drop=("text",))
    say(f"{job.done} done, {job.refused} refused, {job.left} left: {job.state}")
    if job.state in {"waiting", "stopped"}:
        say(f"To go on: refunds jobs continue {job.id}")
