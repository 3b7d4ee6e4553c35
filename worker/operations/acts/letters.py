"""End or correct a dead letter: resolve, discard, edit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from statemachine.flows import State
from worker.ledger.acts import Acts
from worker.ledger.audit_log import Operator
from worker.operations.acts.refusals import CHANGED, CannotAct
from worker.operations.acts.wix_desk import WixDesk, look
from worker.operations.dead_letters import why_not
from worker.refund.outcomes import outcome_of_end
from worker.refund.reasons import REASONS
from worker.refund.record import Refund
from worker.refund.request import InvalidJob, parse_request

#: What may be corrected; never the order, the store or an amount.
EDITABLE = ("manual_payments", "restock", "notify_buyer", "reason")


@dataclass(frozen=True)
class Paid:
    """What a person says was paid elsewhere."""

    amount: Decimal | None = None
    """None if nobody says."""
    currency: str = ""

    def public(self) -> dict[str, Any] | None:
        """Return it as in the events; None if it is not known."""
        if self.amount is None:
            return None
        return {"amount": f"{self.amount:f}", "currency": self.currency or None}


def resolve(
    acts: Acts,
    letter_id: str,
    *,
    operator: Operator,
    paid: Paid,
    desk: WixDesk,
    version: int | None = None,
) -> str:
    """Close a dead letter that a person has settled elsewhere; returns what Wix shows.

    Raises:
        CannotAct: it is no dead letter of this *version*, a call may still take effect, or Wix
            shows our own refund, so that a replay would close it as done.
    """
    refund = dead_letter(acts, letter_id, version)
    shown = look(refund, desk)
    code = str(refund.reason.get("reason", ""))
    if shown.ours_settled and (code not in REASONS or REASONS[code].replayable):
        raise CannotAct(
            f"cannot be resolved: Wix shows our own refund ({', '.join(shown.ours)});"
            " `refunds dead replay` closes it as done"
        )
    _end(acts, refund, State.RESOLVED, operator, {"paid": paid.public(), "wix": shown.public()})
    return str(shown)


def discard(acts: Acts, letter_id: str, *, operator: Operator, version: int | None = None) -> None:
    """Give up a dead letter, or a message that never became a refund.

    Upstream is told of a refund; a message was never accepted, so there is nothing to tell.

    Raises:
        CannotAct: it is no dead letter of this *version*, or a call may still take effect.
    """
    letter = acts.letter(letter_id)
    refund = acts.ledger.load(letter_id)
    if letter is None or (refund and refund.state is State.DEAD):
        _end(acts, dead_letter(acts, letter_id, version), State.DISCARDED, operator, {})
        return
    before = {name: letter.get(name) for name in ("reason", "queue", "problems", "job")}
    if not acts.discard_message(letter_id, operator.act("dead.discard", letter_id, before)):
        raise CannotAct(CHANGED)


def dead_letter(acts: Acts, letter_id: str, version: int | None = None) -> Refund:
    """Return a dead letter as it is, if it still has this *version*.

    Raises:
        CannotAct: there is none, or it has changed.
    """
    refund = acts.ledger.load(letter_id)
    if refund is None or refund.state is not State.DEAD:
        raise CannotAct(why_not(acts.ledger, letter_id))
    if version not in (None, refund.version):
        raise CannotAct(CHANGED)
    return refund


#: The names of the acts and of what they cause, by the new state.
_WORDS = {State.RESOLVED: ("dead.resolve", "resolve"), State.DISCARDED: ("dead.discard", "discard")}


def _end(
    acts: Acts, refund: Refund, to: State, operator: Operator, details: Mapping[str, Any]
) -> None:
    name, step = _WORDS[to]
    who = {"by": operator.by, "why": operator.why, **details}
    may_have_moved = refund.intent_at_ms > 0 or refund.facts.unclear_sends > 0
    before = {"state": refund.state, "reason": refund.reason.get("reason")}
    event = outcome_of_end(
        refund,
        to,
        step,
        refund.facts,
        reason=dict(refund.reason) or None,
        resolution=who,
        may_have_moved_money=may_have_moved,
    )
    act = operator.act(name, refund.refund_id, before, {"state": to, **details})
    status, wait_ms = acts.end_letter(refund, to, who, event, act)
    if status == "unclear":
        raise CannotAct(
            f"a call may still take effect at Wix for {wait_ms // 1000 + 1} s: wait, then try again"
        )
    if status != "ended":
        raise CannotAct(CHANGED)


def edit(
    acts: Acts,
    letter_id: str,
    changes: Mapping[str, Any],
    *,
    operator: Operator,
    version: int | None = None,
) -> dict[str, Any]:
    """Correct the job of a dead letter before it is replayed; returns what it was before.

    Raises:
        CannotAct: it is no dead letter of this *version*, or the job would be invalid or the same.
    """
    refund = dead_letter(acts, letter_id, version)
    old = refund.request.model_dump(mode="json")
    try:
        given = refund.request.model_dump(mode="json", exclude_defaults=True)
        new = parse_request({**given, **changes})
    except InvalidJob as error:
        raise CannotAct(f"cannot be edited: {error}") from None
    fields = new.model_dump(mode="json")
    after = {name: value for name, value in fields.items() if value != old[name]}
    if not after or set(after) - set(EDITABLE):
        raise CannotAct("cannot be edited: it is like this already")
    before = {name: old[name] for name in after}
    act = operator.act("edit", letter_id, before, after)
    if not acts.edit(refund, new, act):
        raise CannotAct(CHANGED)
    return before
