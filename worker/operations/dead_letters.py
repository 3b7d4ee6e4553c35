"""Dead letters: refunds that need a person, and messages that never became a refund."""

from __future__ import annotations

import json
from typing import Any

from statemachine.flows import State
from worker.ledger.acts import Acts
from worker.ledger.audit_log import Operator
from worker.ledger.refunds import Ledger
from worker.observability.redaction import redact
from worker.operations.acts.refusals import CHANGED, CannotAct
from worker.queue.broker import Broker
from worker.refund.facts import Facts, Lifetime
from worker.refund.reason_rows import Reason
from worker.refund.reasons import REASONS
from worker.refund.record import Refund


class CannotReplay(CannotAct):
    """A dead letter cannot be replayed; the text says what to do instead, without naming it."""


def find(ledger: Ledger, broker: Broker, letter_id: str) -> dict[str, Any] | None:
    """Return one dead letter with its history, None if there is none with this id."""
    refund = ledger.load(letter_id)
    if refund and refund.state is State.DEAD:
        return _of_refund(refund) | {
            "refund": refund.public(),
            "history": ledger.history(letter_id),
        }
    letter = broker.letter(letter_id)
    return _of_message(letter_id, letter) | _shown(letter) if letter else None


def replay(
    acts: Acts,
    letter_id: str,
    *,
    operator: Operator,
    manual_done: bool = False,
    not_done: bool = False,
    version: int | None = None,
) -> None:
    """Resume a dead letter where it stopped; its step checks Wix before it changes anything.

    *manual_done* says that a person has paid the buyer what Wix cannot refund itself: Wix then only
    records it. *not_done* says that a person has made sure that a call whose effect is unknown did
    nothing: it is made again. Without it, the replay of such a letter only looks at Wix again.

    Raises:
        CannotReplay: there is no such dead letter, or another attempt would fail like the first.
    """
    refund = acts.ledger.load(letter_id)
    if refund and refund.state is State.DEAD:
        if version not in (None, refund.version):
            raise CannotReplay(CHANGED)
        check_replay(refund, manual_done=manual_done, not_done=not_done)
        facts = facts_after_replay(refund, manual_done=manual_done, not_done=not_done)
        said = {"manual_done": manual_done, "not_done": not_done}
        before = {"state": refund.state, "reason": refund.reason.get("reason")}
        after = {"state": refund.died_in} | {name: True for name, yes in said.items() if yes}
        act = operator.act("dead.replay", letter_id, before, after)
        if not acts.ledger.replay(refund, facts, act):
            raise CannotReplay(CHANGED)
    else:
        _restore(acts, letter_id, operator)


def _restore(acts: Acts, letter_id: str, operator: Operator) -> None:
    """Put a message that never became a refund back on its queue."""
    letter = acts.letter(letter_id)
    if letter is None:
        raise CannotReplay(why_not(acts.ledger, letter_id))
    known = _known(letter)
    if not known.replayable or not letter.get("intact"):
        raise CannotReplay(f"cannot be replayed: {known.remedy}")
    act = operator.act("dead.replay", letter_id, {"reason": letter["reason"]})
    if not acts.restore(letter_id, letter, act):
        raise CannotReplay(CHANGED)


def facts_after_replay(
    refund: Refund, *, manual_done: bool = False, not_done: bool = False
) -> Facts:
    """Reset the counters that led to the dead letter, and add what the replay says.

    That a call with an unknown effect had none is only taken from a person who says so, and holds
    until the next such call.
    """
    facts = refund.facts.forget(Lifetime.REPLAY)
    facts |= Facts(asked_a_person=not_done or refund.effect_ruled_out)
    if refund.reason.get("reason") == "outcome_unknown" and not not_done:
        facts |= Facts(look_only=True)
    return facts | Facts(manual_done=True) if manual_done else facts


def why_not(ledger: Ledger, letter_id: str) -> str:
    """Say why there is no dead letter with this id."""
    refund = ledger.load(letter_id)
    if refund is None and ledger.tombstone(letter_id):
        return f"has ended long ago, and is in the archive; see `refunds show {letter_id}`"
    if refund is None:
        return "there is no such dead letter; `refunds dead list` shows all of them"
    return f"not a dead letter: its state is {refund.state}; see `refunds show {letter_id}`"


def check_replay(refund: Refund, *, manual_done: bool, not_done: bool) -> None:
    """Check that a replay of this dead letter can succeed.

    Raises:
        CannotReplay: it cannot; the text says why.
    """
    code = str(refund.reason.get("reason", ""))
    if not_done and code != "outcome_unknown":
        raise CannotReplay(
            f"`--not-done` only applies to `outcome_unknown`; the reason here is {code}"
        )
    if manual_done and code != "manual_payment":
        raise CannotReplay(
            f"`--manual-done` only applies to `manual_payment`; the reason here is {code}"
        )
    if code in REASONS and not REASONS[code].replayable:
        raise CannotReplay(f"cannot be replayed: {REASONS[code].remedy}")


def _of_refund(refund: Refund) -> dict[str, Any]:
    return {
        "id": refund.refund_id,
        "kind": "refund",
        "refund_id": refund.refund_id,
        "store_id": refund.request.store_id,
        "order_id": refund.request.order_id,
        "died_in": refund.died_in,
        "died_at_ms": refund.updated_at_ms,
        "attempts": refund.attempts,
        **refund.reason,
    }


def _shown(letter: dict[str, Any]) -> dict[str, Any]:
    """Return a letter without the secrets in its message, which may hold a job's metadata."""
    try:
        message = redact(json.loads(letter.get("message", "")))
    except (ValueError, RecursionError):
        return letter
    return letter | {"message": json.dumps(message, ensure_ascii=False)}


def _known(letter: dict[str, Any]) -> Reason:
    """Return the row of its reason; a reason unknown to this version must not break the list."""
    return REASONS.get(letter["reason"], REASONS["worker_error"])


def _of_message(message_id: str, letter: dict[str, Any]) -> dict[str, Any]:
    known = _known(letter)
    job = letter.get("job", {})
    return {
        "id": message_id,
        "kind": "message",
        "refund_id": job.get("refund_id"),
        "store_id": job.get("store_id"),
        "order_id": job.get("order_id"),
        "reason": letter["reason"],
        "sentence": known.meaning,
        "remedy": known.remedy,
        "problems": letter.get("problems"),
        "errors": letter.get("errors"),
    }
