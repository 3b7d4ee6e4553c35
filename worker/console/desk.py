"""What the pages work with: the same parts as the commands, and how a page is answered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from jinja2 import Environment
from starlette.responses import HTMLResponse, RedirectResponse, Response

from config.access import Role
from worker.console.forms import Fields
from worker.console.users import Session


@dataclass(frozen=True, kw_only=True)
class Desk:
    """The parts of the program that the pages use."""

    read_status: Callable[[], dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Visit:
    """One request of somebody who is signed in."""

    session: Session
    path: str
    query: Fields
    form: Fields
    templates: Environment
    takes_tokens: bool
    """Whether there is something to sign out of."""

    def may(self, role: Role) -> bool:
        """Whether the user may do what needs this role."""
        return self.session.user.may(role)

    def page(self, template: str, *, title: str, **values: Any) -> Response:
        """Answer with a page."""
        notes = self.session.take_notes()
        return HTMLResponse(
            self.templates.get_template(template).render(
                visit=self, title=title, notes=notes, **values
            )
        )

    def go_to(self, address: str, *notes: str) -> Response:
        """Answer a form: the browser loads *address*, which shows the notes."""
        self.session.notes += notes
        return RedirectResponse(address, 303)
