"""Which address shows what: one table for the routes, the roles and the navigation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from starlette.responses import Response

from config.access import Role
from worker.console.desk import Desk, Visit
from worker.console.overview import overview


@dataclass(frozen=True, kw_only=True)
class Page:
    """One row of the table."""

    path: str
    run: Callable[[Desk, Visit], Response]
    method: Literal["GET", "POST"] = "GET"
    role: Role = "view"
    title: str = ""
    """Its name in the navigation, "" if it is not there."""


PAGES: tuple[Page, ...] = (Page(path="/", run=overview, title="Overview"),)
NAVIGATION: tuple[tuple[str, str], ...] = tuple(
    (page.path, page.title) for page in PAGES if page.title
)
