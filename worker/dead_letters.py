"""Dead letters: refunds that need a person, and messages that never became one; data only."""

from __future__ import annotations

from typing import Any

from statemachine.flows import State
from worker.broker import Broker
from worker.ledger import Ledger
from worker.reasons import REASONS
from worker.refund import Refund

#: Reasons for which the same message would only fail again.
_NOT_REPLAYABLE = frozenset({"invalid_job", "conflict"})


class CannotReplay(Exception):
    """This letter cannot be replayed; the text says what to do instead."""


def letters(ledger: Ledger, broker: Broker, *, limit: int) -> list[dict[str, Any]]:
    """List all dead letters: refunds first, newest first, then messages."""
    refunds = [_of_refund(refund) for refund in ledger.newest(state=State.DEAD, limit=limit)]
    return refunds + [_of_message(i, letter) for i, letter in broker.quarantined().items()]


def find(ledger: Ledger, broker: Broker, letter_id: str) -> dict[str, Any] | None:
    """One dead letter with its history, None when there is none of this id."""
    refund = ledger.load(letter_id)
    if refund and refund.state is State.DEAD:
        return _of_refund(refund) | {
            "refund": refund.public(),
            "history": ledger.history(letter_id),
        }
    letter = broker.quarantined().get(letter_id)
    return _of_message(letter_id, letter) | letter if letter else None


def replay(ledger: Ledger, broker: Broker, letter_id: str, *, operator: str) -> None:
    """Let a dead letter go on where it died; the step looks at Wix before it does anything.

    Raises:
        CannotReplay: there is no such letter, or another try would fail as the first did.
    """
    if ledger.replay(letter_id, operator=operator):
        return
    letter = broker.quarantined().get(letter_id)
    if letter is None:
        raise CannotReplay(f"there is no dead letter {letter_id}")
    if letter["reason"] in _NOT_REPLAYABLE or not letter.get("intact"):
        raise CannotReplay(f"{letter_id} cannot be replayed: {REASONS[letter['reason']].remedy}")
    broker.restore(letter["queue"], letter_id, letter["message"])


def _of_refund(refund: Refund) -> dict[str, Any]:
    return {
        "id": refund.refund_id,
        "kind": "refund",
        "store_id": refund.request.store_id,
        "order_id": refund.request.order_id,
        "died_in": refund.died_in,
        "died_at_ms": refund.updated_at_ms,
        "attempts": refund.attempts,
        **refund.reason,
    }


def _of_message(message_id: str, letter: dict[str, Any]) -> dict[str, Any]:
    known = REASONS[letter["reason"]]
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
    }
