"""Bulk acts in the tests: dead letters, a job that is started, and its turns."""

from __future__ import annotations

import json

from statemachine.flows import State
from tests.support.commands import refunds
from tests.support.rig import AFTER, Rig
from worker.ledger.jobs import Job
from worker.operations.jobs.runner import JobRunner
from worker.simulator import Fault

WHY = ("--reason", "the key is back", "--by", "ann")


def dead_letters(rig: Rig, count: int) -> list[str]:
    """Make so many dead letters."""
    rig.simulator.script(Fault("status", "submit_refund", status=400, code="X", times=count))
    ids = [rig.request(rig.order(AFTER)) for _ in range(count)]
    rig.run_until_idle()
    assert {rig.load(each).state for each in ids} == {State.DEAD}
    return ids


def dead_line(rig: Rig) -> str:
    """Return how the status begins its line on dead letters, whatever other tests have left."""
    return f"Refunds that are dead letters: {rig.redis.zcard(rig.key('state', State.DEAD))}."


def start(rig: Rig, *arguments: str) -> str:
    """Start a bulk act on the command line; returns the id of the job."""
    done = refunds(rig, *arguments, "--yes", "--json")
    assert done.returncode == 0, done.stderr
    return str(json.loads(done.stdout)["job_id"])


def job_of(rig: Rig, job_id: str) -> Job:
    """Return a bulk act that exists."""
    job = rig.app.jobs.jobs.find(job_id)
    assert job is not None
    return job


def turn(rig: Rig, runner: JobRunner | None = None) -> None:
    """Let all items be due by their rate, and do them."""
    for key in rig.redis.scan_iter(rig.key("job", "*")):
        if rig.redis.type(key) == "hash" and rig.redis.hexists(key, "rate"):
            rig.redis.hset(key, mapping={"rate": "1000", "next_ms": "0"})
    (runner or rig.app.jobs).turn(lambda: False)


def results(rig: Rig, job_id: str) -> dict[str, str]:
    """Return the result of each item that has one."""
    shown = json.loads(refunds(rig, "jobs", "show", job_id, "--json").stdout)
    return {item["id"]: item["result"] for item in shown["items"]}
