"""Do one act to one refund or letter, at once: the acts of the commands, under the user's name."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Any, NamedTuple

from starlette.responses import Response

from config.access import Role
from worker.console.approvals import requested_by_login
from worker.console.desk import Desk, Visit
from worker.console.forms import Fields
from worker.console.lists import query
from worker.console.marks import id_of
from worker.console.refusals import Refusal
from worker.console.rendering import marked
from worker.ledger.audit_log import Operator
from worker.ledger.jobs import Due
from worker.operations import dead_letters
from worker.operations.acts import letters
from worker.operations.acts.letters import Paid
from worker.operations.acts.refunds import unfinished
from worker.operations.acts.refusals import CHANGED, CannotAct
from worker.operations.jobs.table import BULK, Item
from worker.upstream import rules


class Rule(NamedTuple):
    """Who may do an act, and what to say when it is done."""

    done: str
    needs_reason: bool = True
    role: Role = "act"


OWN = "Nobody approves what they have requested themselves. Nothing was done."

#: The acts that the console offers; what they do is in worker/operations/jobs/table.py.
ACTS: Mapping[str, Rule] = MappingProxyType(
    {
        "dead.replay": Rule("replayed"),
        "dead.resolve": Rule("resolved"),
        "dead.discard": Rule("discarded"),
        "retry": Rule("goes now", needs_reason=False),
        "cancel": Rule("called off"),
        "hold": Rule("on hold"),
        "release": Rule("released", needs_reason=False),
        "approve": Rule("approved", role="approve"),
        "approve.reject": Rule("rejected", role="approve"),
    }
)


def rule_of(visit: Visit) -> tuple[str, Rule]:
    """Return the act that a form asks for.

    Raises:
        Refusal: there is no such act, or the user may not do it.
    """
    name = visit.form.one("act")
    if name not in ACTS:
        raise Refusal(400, "There is no such act.")
    if not visit.may(ACTS[name].role):
        raise Refusal(403, f"This needs the role “{ACTS[name].role}”, which you do not have.")
    return name, ACTS[name]


def act_on_one(desk: Desk, visit: Visit) -> Response:
    """Do what the form of a refund's page asks for, if the refund is still as it was shown.

    What stops it, or shortens a wait, is done in any case: a refund that runs changes all the time.
    """
    name, rule = rule_of(visit)
    item_id = id_of(desk, visit.form.one("id"))
    operator = visit.operator(needs_reason=rule.needs_reason)
    if name == "approve" and requested_by_login(desk, visit, [item_id]):
        raise Refusal(403, OWN)
    address = query("/refund", {"id": marked(item_id)}, cell=desk.cell)
    try:
        said = perform(desk, name, item_id, _version(visit.form), operator, visit.form)
    except CannotAct as refusal:
        return visit.go_to(address, f"Refused: {item_id} {refusal}")
    return visit.go_to(address, f"{item_id}: {said or rule.done}")


def perform(
    desk: Desk, name: str, item_id: str, version: int | None, operator: Operator, form: Fields
) -> str:
    """Do an act to one id; returns what to say, "" for what the table says.

    Raises:
        CannotAct: it is refused.
    """
    given = {"operator": operator, "version": version}
    if name == "dead.replay":
        manual, not_done = form.one("manual_done") == "yes", form.one("not_done") == "yes"
        dead_letters.replay(desk.acts, item_id, manual_done=manual, not_done=not_done, **given)  # type: ignore[arg-type]  # both are named above
        return ""
    if name == "dead.resolve":
        shown = letters.resolve(desk.acts, item_id, paid=paid_of(form), desk=desk.wix, **given)  # type: ignore[arg-type]  # see above
        return f"resolved; {shown}"
    if name == "release" and form.one("hold") not in {"", _hold_of(desk, item_id)}:
        raise CannotAct(CHANGED)  # somebody else holds it, or for another reason
    due = Due("", item_id, version)
    item = Item(due=due, acts=desk.acts, desk=desk.wix, operator=operator, arguments={})
    said = BULK[name].run(item)
    return said if isinstance(said, str) else ""


def paid_of(form: Fields) -> Paid:
    """Return what somebody says was paid back elsewhere.

    Raises:
        Refusal: it is no amount, or has no currency.
    """
    amount, currency = form.one("amount"), form.one("currency").upper()
    if not rules.AMOUNT.fullmatch(amount):
        raise Refusal(
            400, "Say how much was paid back elsewhere, a plain decimal like 39.98; 0 for nothing."
        )
    value = Decimal(amount)
    if value and not rules.CURRENCY.fullmatch(currency):
        raise Refusal(400, "An amount needs its currency, an ISO 4217 code like USD.")
    return Paid(value, currency if value else "")


def mark_of(hold: Mapping[str, Any]) -> str:
    """Return what the page of a refund on hold says of this hold: who stopped it, and why."""
    return hashlib.sha256(json.dumps(dict(hold), sort_keys=True).encode()).hexdigest()[:16]


def _hold_of(desk: Desk, item_id: str) -> str:
    return mark_of(unfinished(desk.acts, item_id).hold)


def _version(form: Fields) -> int | None:
    text = form.one("version")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 18 else None
