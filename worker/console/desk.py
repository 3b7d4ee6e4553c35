"""What the pages about one thing work with, and how a page is answered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from jinja2 import Environment
from starlette.responses import HTMLResponse, RedirectResponse, Response

from config.access import Role
from config.settings import Settings
from worker.console.forms import Fields
from worker.console.refusals import Refusal
from worker.console.users import Session
from worker.ledger.acts import Acts
from worker.ledger.audit_log import LONGEST_WHY, Operator
from worker.ledger.jobs import Jobs
from worker.ledger.refunds import Ledger
from worker.ledger.search import Search
from worker.ledger.stores import Stores
from worker.operations.acts.wix_desk import WixDesk
from worker.queue.broker import Broker
from worker.stores.examiner import Examiner


@dataclass(frozen=True, kw_only=True)
class Desk:
    """The parts of the program that the pages use."""

    settings: Settings
    broker: Broker
    ledger: Ledger
    acts: Acts
    jobs: Jobs
    search: Search
    wix: WixDesk
    examiner: Examiner
    read_status: Callable[[int], dict[str, Any]]
    """Returns the status, with the counts of so many minutes."""
    cell: str = ""
    """The name of its cell, "" if it is the only one that the console shows."""

    @property
    def stores(self) -> Stores:
        """What is known of the stores."""
        return self.wix.stores


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
    is_live: bool = False
    """Whether the script asks, to update a page that is shown."""
    problems: dict[str, str] = field(default_factory=dict)
    """By cell: why it is missing in what is shown."""

    @property
    def cell(self) -> str:
        """The cell that the form or the address names, "" if none."""
        return self.given("cell")

    def given(self, name: str) -> str:
        """Return a field of the form, or of the address."""
        return self.form.one(name) or self.query.one(name)

    def may(self, role: Role) -> bool:
        """Whether the user may do what needs this role."""
        return self.session.user.may(role)

    def operator(self, *, needs_reason: bool) -> Operator:
        """Return who acts, and why.

        Raises:
            Refusal: the reason is missing or too long.
        """
        why = self.form.one("why")
        if needs_reason and not why:
            raise Refusal(400, "Say why: the reason is kept in the audit log. Nothing was done.")
        if len(why) > LONGEST_WHY:
            raise Refusal(400, f"A reason has at most {LONGEST_WHY} characters.")
        return Operator(self.session.user.name, why)

    def page(self, template: str, *, title: str, **values: Any) -> Response:
        """Answer with a page."""
        # The page that a form leads to shows them, not one that happens to be updated meanwhile.
        notes = [] if self.is_live else self.session.take_notes()
        return HTMLResponse(
            self.templates.get_template(template).render(
                visit=self, title=title, notes=notes, **values
            )
        )

    def go_to(self, address: str, *notes: str) -> Response:
        """Answer a form: the browser loads *address*, which shows the notes."""
        self.session.notes += notes
        return RedirectResponse(address, 303)
