"""Two people decide about the same bulk act at once: one decision counts, the other is told."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import typer

from tests.support.bulk import dead_letters, job_of
from tests.support.rig import ANN, Rig
from worker.cli.bulk import Bulk
from worker.cli.bulk import _confirm as confirm
from worker.console import bulk
from worker.console.desk import Visit
from worker.console.forms import Fields
from worker.console.refusals import Refusal
from worker.console.rendering import environment
from worker.console.users import Session, User
from worker.ledger.jobs import Job, Jobs, Order
from worker.ledger.search import Search
from worker.operations.jobs.freezing import chosen, freeze


def _frozen(rig: Rig) -> str:
    order = Order(
        act="dead.discard", arguments={}, by="ann", why="x", selection="1 ids", rate=1, canary=0
    )
    search = Search(rig.redis, namespace=rig.settings.namespace)
    found = freeze(
        rig.app.jobs.jobs, order, chosen(search, order.act, dead_letters(rig, 1), lambda _: False)
    )
    assert found is not None
    return found.job_id


def _step(jobs: Jobs, job_id: str, step: str) -> tuple[bool, str]:
    return jobs.step(job_id, step, ANN.act(f"jobs.{step}", job_id, {}, {}))


def test_what_was_started_is_not_forgotten(rig: Rig) -> None:
    """Its items stay to be done."""
    job_id, jobs = _frozen(rig), rig.app.jobs.jobs
    assert _step(jobs, job_id, "start") == (True, "running")
    assert jobs.forget(job_id) == "running"
    assert job_of(rig, job_id).left == 1
    assert len(list(jobs.items(job_id))) == 1


def test_what_was_forgotten_is_not_started(rig: Rig) -> None:
    """Nothing of it is left, and to forget it twice is no error."""
    job_id, jobs = _frozen(rig), rig.app.jobs.jobs
    assert [jobs.forget(job_id), jobs.forget(job_id)] == ["", ""]
    assert _step(jobs, job_id, "start") == (False, "")
    assert list(rig.redis.scan_iter(rig.key("job*"))) == []


def test_a_command_whose_selection_was_started_elsewhere_says_so(
    rig: Rig, capsys: pytest.CaptureFixture[str]
) -> None:
    """It must not say that nothing was done."""
    job_id, jobs = _frozen(rig), rig.app.jobs.jobs
    opened = Bulk(broker=rig.app.broker, acts=rig.acts, jobs=jobs, confirm_above=10)
    _step(jobs, job_id, "start")
    with pytest.raises(typer.Exit):
        confirm(opened, job_id, "dead.discard for 1", yes=False)
    assert "was started in the console meanwhile, and is running" in capsys.readouterr().err
    assert job_of(rig, job_id).left == 1


class _Seen:
    """The bulk acts, of which one looks as it was before the other person decided."""

    def __init__(self, jobs: Jobs, before: Job) -> None:
        self._jobs = jobs
        self._before = before

    def find(self, _: str) -> Job:
        """Return what was there."""
        return self._before

    def __getattr__(self, name: str) -> Any:
        return getattr(self._jobs, name)


def _clicks(rig: Rig, before: Job, step: str) -> Session:
    """Click a button of a page that shows what was there before; returns the session."""
    session = Session(User("ann", "act"), ends_at_s=0)
    visit = Visit(
        session=session,
        path="/job/step",
        query=Fields({}),
        form=Fields({"id": [before.id], "step": [step]}),
        templates=environment(),
        takes_tokens=True,
    )
    desk: Any = SimpleNamespace(
        jobs=_Seen(rig.app.jobs.jobs, before), settings=rig.settings, cell=""
    )
    bulk.step_job(desk, visit)
    return session


def test_the_second_to_click_is_told(rig: Rig) -> None:
    """What the first one did counts."""
    job_id, jobs = _frozen(rig), rig.app.jobs.jobs
    before = job_of(rig, job_id)
    _step(jobs, job_id, "start")
    with pytest.raises(Refusal, match="It is running: stop it instead"):
        _clicks(rig, before, "forget")
    assert _clicks(rig, before, "start").notes == [f"Refused: {job_id} is running"]
    gone = replace(job_of(rig, _frozen(rig)))
    jobs.forget(gone.id)
    [note] = _clicks(rig, gone, "start").notes
    assert note == f"Refused: {gone.id} was forgotten before, and nothing was done"
