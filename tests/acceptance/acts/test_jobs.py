"""Bulk acts: done by the workers at their rate, each item once."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest

from statemachine.flows import State
from tests.support.bulk import WHY, dead_letters, job_of, results, start, turn
from tests.support.commands import refunds
from tests.support.lost_replies import lose_reply
from tests.support.rig import ANN, KEY, Rig
from worker.app import build
from worker.ledger.jobs import Due
from worker.operations.dead_letters import replay as replay_letter
from worker.refund.record import Refund
from worker.simulator import Fault


def test_all_dead_letters_are_replayed_by_the_workers(rig: Rig) -> None:
    """The command only starts it; each item has its own entry in the audit log."""
    ids = dead_letters(rig, 5)
    job_id = start(rig, "dead", "replay", "--all", *WHY)
    assert {rig.load(each).state for each in ids} == {State.DEAD}
    turn(rig)
    job = job_of(rig, job_id)
    assert (job.state, job.total, job.done, job.refused) == ("done", 5, 5, 0)
    assert results(rig, job_id) == dict.fromkeys(ids, "done")
    rig.run_until_idle()
    assert {rig.load(each).state for each in ids} == {State.REFUNDED}
    shown = json.loads(refunds(rig, "jobs", "show", job_id, "--json").stdout)
    assert {item["now"] for item in shown["items"]} == {"refunded"}
    entries = [entry.fields() for entry in rig.ledger.audit_log.entries()]
    assert [entry["act"] for entry in entries] == ["jobs.start"] + ["dead.replay"] * 5
    assert {entry["job"] for entry in entries[1:]} == {job_id}
    assert {entry["by"] for entry in entries} == {"ann"}
    assert rig.ledger.audit_log.verify().breaks_at == 0


def test_the_selection_is_frozen_with_the_version_of_each_letter(rig: Rig) -> None:
    """What died later is not in it, and what changed meanwhile is left alone."""
    first, second = dead_letters(rig, 2)
    job_id = start(rig, "dead", "replay", "--all", *WHY)
    [later] = dead_letters(rig, 1)
    replay_letter(rig.acts, first, operator=ANN)
    rig.simulator.script(Fault("status", "submit_refund", status=400, code="X"))
    rig.run_until_idle()
    assert rig.load(first).state is State.DEAD
    turn(rig)
    shown = json.loads(refunds(rig, "jobs", "show", job_id, "--json").stdout)
    by_id = {item["id"]: item for item in shown["items"]}
    assert set(by_id) == {first, second}
    assert (by_id[second]["result"], by_id[first]["result"]) == ("done", "refused")
    assert "changed in the meantime" in by_id[first]["text"]
    assert {rig.load(first).state, rig.load(later).state} == {State.DEAD}


def test_an_item_that_always_fails_does_not_hold_up_the_others(rig: Rig) -> None:
    """Its history is damaged, so that its script fails; the bulk act ends."""
    ids = dead_letters(rig, 3)
    history = rig.key("history", ids[0])
    rig.redis.delete(history)
    rig.redis.set(history, "damaged")
    job_id = start(rig, "dead", "replay", "--all", *WHY)
    turn(rig)
    rig.redis.delete(history)
    job = job_of(rig, job_id)
    assert (job.state, job.done, job.refused) == ("done", 2, 1)
    assert results(rig, job_id)[ids[0]] == "refused"


def test_a_canary_goes_first_and_waits(rig: Rig) -> None:
    """Its results are shown; the rest follows when a person says so."""
    dead_letters(rig, 5)
    job_id = start(rig, "dead", "replay", "--all", "--canary", "2", *WHY)
    for _ in range(3):
        turn(rig)
    job = job_of(rig, job_id)
    assert (job.state, job.done, job.left) == ("waiting", 2, 3)
    assert len(results(rig, job_id)) == 2
    done = refunds(rig, "jobs", "continue", job_id, "--by", "bob")
    assert (done.returncode, f"{job_id} is running; 3 left" in done.stderr) == (0, True)
    turn(rig)
    assert job_of(rig, job_id).state == "done"
    again = refunds(rig, "jobs", "continue", job_id)
    assert (again.returncode, "is done, so it cannot continue" in again.stderr) == (1, True)


def test_a_job_is_stopped_and_continued(rig: Rig) -> None:
    """Not one item is done while it is stopped, also not one that was handed out before."""
    ids = dead_letters(rig, 3)
    job_id = start(rig, "dead", "replay", "--all", *WHY)
    due = rig.app.jobs.jobs.due()
    assert due
    assert refunds(rig, "jobs", "stop", job_id).returncode == 0
    for each in due:
        rig.app.jobs._do(job_of(rig, job_id), each)
    turn(rig)
    assert job_of(rig, job_id).left == 3
    assert {rig.load(each).state for each in ids} == {State.DEAD}
    assert refunds(rig, "jobs", "continue", job_id, "--json").returncode == 0
    turn(rig)
    assert job_of(rig, job_id).state == "done"
    listed = json.loads(refunds(rig, "jobs", "list", "--json").stdout)["jobs"]
    assert [(job["job_id"], job["done"]) for job in listed] == [(job_id, 3)]
    assert job_id in refunds(rig, "jobs", "list").stdout
    assert "3 done, 0 refused, 0 left: done" in refunds(rig, "jobs", "show", job_id).stderr
    acts = [entry.fields()["act"] for entry in rig.ledger.audit_log.entries()]
    assert [act for act in acts if act.startswith("jobs")] == [
        "jobs.start", "jobs.stop", "jobs.continue",
    ]  # fmt: skip


def test_items_are_handed_out_at_the_rate(rig: Rig) -> None:
    """What was missed while no worker ran is not made up for all at once."""
    dead_letters(rig, 6)
    job_id = start(rig, "dead", "replay", "--all", "--rate", "2", *WHY)
    assert len(rig.app.jobs.jobs.due()) == 3
    assert rig.app.jobs.jobs.due() == []
    next_ms = float(rig.redis.hget(rig.key("job", job_id), "next_ms"))
    assert 0 < next_ms - rig.ledger.now_ms() <= 1_000


def test_a_worker_that_dies_between_two_items_loses_and_doubles_nothing(rig: Rig) -> None:
    """Another one takes the list over, with items of which the first has handed out some."""
    ids = dead_letters(rig, 6)
    job_id = start(rig, "dead", "replay", "--all", *WHY)
    handed_out = rig.app.jobs.jobs.due()
    for each in handed_out[:2]:
        rig.app.jobs._do(job_of(rig, job_id), each)
    other = build(rig.settings, rig.seams())
    other.ledger.installation = rig.ledger.installation
    turn(rig, other.jobs)
    for each in handed_out:
        rig.app.jobs._do(job_of(rig, job_id), each)
    other.broker.client.close()
    job = job_of(rig, job_id)
    assert (job.state, job.done, job.refused) == ("done", 6, 0)
    replays = [
        line
        for each in ids
        for line in rig.ledger.history(each)
        if line["event"] == "refund.replayed"
    ]
    assert len(replays) == 6


def test_two_leaders_at_once_do_each_item_once(rig: Rig) -> None:
    """A worker that was paused may still believe that it leads."""
    ids = dead_letters(rig, 12)
    job_id = start(rig, "dead", "replay", "--all", *WHY)
    due = rig.app.jobs.jobs.due() * 3
    rig.redis.hset(rig.key("job", job_id), mapping={"rate": "1000", "next_ms": "0"})
    due += rig.app.jobs.jobs.due() * 2
    job = job_of(rig, job_id)

    def work(part: list[Due]) -> None:
        for one in part:
            rig.app.jobs._do(job, one)

    threads = [threading.Thread(target=work, args=(due[n::4],)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    turn(rig)
    found = job_of(rig, job_id)
    assert (found.state, found.done, found.refused) == ("done", 12, 0)
    events = [line["event"] for each in ids for line in rig.ledger.history(each)]
    assert events.count("refund.replayed") == 12
    assert rig.ledger.audit_log.verify().breaks_at == 0


def test_two_operators_at_once_replay_each_letter_once(rig: Rig) -> None:
    """The second job finds that the letters have changed."""
    ids = dead_letters(rig, 3)
    first = start(rig, "dead", "replay", "--all", *WHY)
    second = start(rig, "dead", "replay", "--all", "--reason", "me too", "--by", "bob")
    turn(rig)
    done = [job_of(rig, job_id).done for job_id in (first, second)]
    assert sum(done) == 3
    assert all(job_of(rig, job_id).state == "done" for job_id in (first, second))
    events = [line["event"] for each in ids for line in rig.ledger.history(each)]
    assert events.count("refund.replayed") == 3


@pytest.mark.parametrize("script", ["replay", "job_refuse", "job_due", "job_add", "job_set"])
def test_a_lost_reply_does_no_harm(rig: Rig, script: str) -> None:
    """Each script may run twice."""
    dead_letters(rig, 2)
    runner = rig.app.jobs
    scripts: Any = rig.ledger._scripts if script == "replay" else runner.jobs._scripts
    lose_reply(runner.acts.ledger._scripts if script == "replay" else scripts, script)
    job_id = start(rig, "dead", "replay", "--all", *WHY)
    for _ in range(3):
        turn(rig)
    job = job_of(rig, job_id)
    assert (job.state, job.total, job.done, job.refused) == ("done", 2, 2, 0)


class _Broken:
    """A ledger that has a bug with one refund."""

    def __init__(self, rig: Rig, refund_id: str) -> None:
        self._ledger = rig.ledger
        self._refund_id = refund_id

    def replay(self, refund: Refund, *arguments: Any) -> bool:
        """Replay, but not that one."""
        if refund.refund_id == self._refund_id:
            raise ValueError(KEY)
        return self._ledger.replay(refund, *arguments)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ledger, name)


def test_a_bug_of_one_item_does_not_hold_up_the_others(rig: Rig) -> None:
    """It is refused, with the type of the error and its place."""
    first, second = dead_letters(rig, 2)
    rig.app.jobs.acts.ledger = _Broken(rig, first)  # type: ignore[assignment]  # a stand-in
    job_id = start(rig, "dead", "replay", "--all", *WHY)
    turn(rig)
    assert results(rig, job_id) == {first: "refused", second: "done"}
    assert job_of(rig, job_id).state == "done"
    shown = refunds(rig, "jobs", "show", job_id).stdout
    assert ("ValueError" in shown, KEY in shown) == (True, False)
