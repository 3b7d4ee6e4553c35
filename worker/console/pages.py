"""Which address shows what: one table for the routes, the roles and the navigation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from starlette.responses import Response

from config.access import Role
from worker.console.acting import act_on_one
from worker.console.approvals import approvals
from worker.console.audit_log import audit_log
from worker.console.bulk import choose, job, jobs, step_job
from worker.console.desk import Desk, Visit
from worker.console.desks import Desks, at
from worker.console.letters import dead
from worker.console.overview import overview
from worker.console.refunds import refund, refunds
from worker.console.stores import act_on_store, store, stores


@dataclass(frozen=True, kw_only=True)
class Page:
    """One row of the table."""

    path: str
    run: Callable[[Desks, Visit], Response]
    method: Literal["GET", "POST"] = "GET"
    role: Role = "view"
    title: str = ""
    """Its name in the navigation, "" if it is not there."""


def _of_refund(desks: Desks, visit: Visit) -> Desk:
    return desks.with_refund(visit.cell, visit.given("id"))


def _of_job(desks: Desks, visit: Visit) -> Desk:
    return desks.with_job(visit.cell, visit.given("id"))


def _of_store(desks: Desks, visit: Visit) -> Desk:
    return desks.with_store(visit.given("id").lower())


PAGES: tuple[Page, ...] = (
    Page(path="/", run=overview, title="Overview"),
    Page(path="/refunds", run=refunds, title="Refunds"),
    Page(path="/refund", run=at(_of_refund, refund)),
    Page(path="/refund/act", run=at(_of_refund, act_on_one), method="POST", role="act"),
    Page(path="/dead", run=dead, title="Dead letters"),
    Page(path="/approvals", run=approvals, title="Approvals"),
    Page(path="/choose", run=choose, method="POST", role="act"),
    Page(path="/jobs", run=jobs, title="Bulk acts"),
    Page(path="/job", run=at(_of_job, job)),
    Page(path="/job/step", run=at(_of_job, step_job), method="POST", role="act"),
    Page(path="/stores", run=stores, title="Stores"),
    Page(path="/store", run=at(_of_store, store)),
    Page(path="/store/act", run=act_on_store, method="POST", role="act"),
    Page(path="/audit-log", run=audit_log, title="Audit log"),
)
NAVIGATION: tuple[tuple[str, str], ...] = tuple(
    (page.path, page.title) for page in PAGES if page.title
)
