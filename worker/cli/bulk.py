"""Do an act to many: freeze the selection, say what it is, ask, and let the workers do it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

import typer

from worker.app import acts_from, jobs_from, ledger_from
from worker.cli.all_lists import search_for
from worker.cli.cell_results import NothingToDo
from worker.cli.choosing import Chosen
from worker.cli.common import WRONG_USAGE, close_at_end, fail, settings
from worker.cli.following import follow
from worker.cli.output import print_json, print_line, say
from worker.cli.results import act_on_each
from worker.ledger.acts import Acts
from worker.ledger.audit_log import Operator
from worker.ledger.jobs import Jobs, Order
from worker.ledger.search import Match
from worker.operations.jobs import freezing
from worker.operations.jobs.freezing import amounts_text, freeze
from worker.queue.broker import Broker

GONE = "the selection is gone: it waited too long for a confirmation, or was forgotten elsewhere"


@dataclass(frozen=True, kw_only=True)
class Bulk:
    """What the commands for many work with."""

    broker: Broker
    acts: Acts
    jobs: Jobs
    confirm_above: int


def open_bulk() -> Bulk:
    """Connect to the ledger."""
    given = settings()
    broker, ledger = ledger_from(given)
    close_at_end(broker.client.close)
    return Bulk(
        broker=broker,
        acts=acts_from(given, broker, ledger),
        jobs=jobs_from(given, broker, ledger),
        confirm_above=given.bulk_confirm,
    )


def do(
    name: str,
    chosen: Chosen,
    who: Operator,
    one: Callable[[str], str],
    *,
    done: str,
    arguments: Mapping[str, Any] | None = None,
    as_json: bool,
) -> None:
    """Do an act: at once to the ids of the command line, else as a job of the workers.

    *one* does it to one id and returns what to say; *done* names the results in JSON.
    """
    if not chosen.is_bulk:
        act_on_each(chosen.ids, one, done=done, as_json=as_json)
        return
    bulk = open_bulk()
    job_id, sentence = _freeze(bulk, name, chosen, who, arguments or {})
    _confirm(bulk, job_id, sentence, yes=chosen.yes)
    job = bulk.jobs.find(job_id)
    if job is None:
        fail(GONE)
    after = {"act": name, "selection": str(chosen), "total": job.total, **job.amounts}
    did, state = bulk.jobs.step(job_id, "start", who.act("jobs.start", job_id, {}, after))
    if not did:
        fail(_started_elsewhere(job_id, state) if state else GONE)
    if as_json:
        print_json({"ok": True, **job.public(), "state": "running"})
    else:
        print_line(job_id)
        say(f"{sentence}: started; `refunds jobs show {job_id}` shows the results")
        follow(bulk.jobs, bulk.acts.ledger, job_id)


def _freeze(
    bulk: Bulk, name: str, chosen: Chosen, who: Operator, arguments: Mapping[str, Any]
) -> tuple[str, str]:
    """Keep the selection in the ledger; returns the id of the job, and what it is."""
    order = Order(
        act=name,
        arguments=arguments,
        by=who.by,
        why=who.why,
        selection=str(chosen),
        rate=chosen.rate,
        canary=chosen.canary,
    )
    frozen = freeze(bulk.jobs, order, _found(bulk, name, chosen))
    if frozen is None:
        fail("nothing matches", end=NothingToDo)
    hint = " (--dry-run asks Wix)" if frozen.unknown and name == "dead.replay" else ""
    sums = amounts_text(frozen.sums, frozen.unknown)
    return frozen.job_id, f"{name} for {frozen.count}: {sums}{hint}"


def _found(bulk: Bulk, name: str, chosen: Chosen) -> Iterator[Match]:
    """Yield what is chosen, as the lists show it; the oldest first."""
    messages = set(() if chosen.selection else bulk.broker.quarantined())
    what = chosen.selection or chosen.ids
    return freezing.chosen(search_for(bulk.broker), name, what, messages.__contains__)


def ids_of(chosen: Chosen) -> list[str]:
    """Return the ids of the dead letters that are named."""
    return [one.refund_id for one in _found(open_bulk(), "dead.replay", chosen)]


def _confirm(bulk: Bulk, job_id: str, sentence: str, *, yes: bool) -> None:
    """Ask whether to start; a selection that nobody confirms is forgotten after a day."""
    if yes:
        return
    if not sys.stdin.isatty():
        text = f"{sentence}: confirm it with --yes; nothing was done"
        _forget(bulk, job_id, text, code=WRONG_USAGE)
    total = getattr(bulk.jobs.find(job_id), "total", 0)
    say(sentence)
    if total > bulk.confirm_above:
        is_sure = typer.prompt(f"Type {total} to start", err=True).strip() == str(total)
    else:
        is_sure = typer.confirm("Start?", err=True)
    if not is_sure:
        _forget(bulk, job_id, "nothing was done", code=1)


def _forget(bulk: Bulk, job_id: str, text: str, *, code: int) -> NoReturn:
    if state := bulk.jobs.forget(job_id):
        fail(_started_elsewhere(job_id, state))
    fail(text, code=code)


def _started_elsewhere(job_id: str, state: str) -> str:
    return f"{job_id} was started in the console meanwhile, and is {state}: see refunds jobs show"
