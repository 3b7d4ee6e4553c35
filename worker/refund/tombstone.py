"""What the ledger keeps of a forgotten refund: enough to recognise a repeat of its job.

It is in the place of the record, in at most 200 bytes of Redis for ids of up to 40 characters. So
its text is terse: a letter for the state, the end in seconds as 8 hexadecimal digits, amount and
currency, "|", and Wix's id of the refund, a UUID as base64.
"""

from __future__ import annotations

import base64
import re
import uuid
from collections.abc import Mapping
from typing import NamedTuple

from statemachine.flows import State
from worker.refund.record import Refund
from worker.refund.stakes import stake_of

#: How much of the job's digest is kept, 128 bits. `accept.lua` compares what there is.
DIGEST = 32
#: The letter of each state in which a refund may be forgotten.
LETTERS = {
    State.CANCELLED: "c",
    State.REFUNDED: "r",
    State.VOIDED: "v",
    State.REJECTED: "j",
    State.RESOLVED: "s",
    State.DISCARDED: "d",
    State.CALLED_OFF: "o",
}
_TEXT = re.compile(r"([a-z])([0-9a-f]{8})([0-9.]*)([A-Z]{3})?\|(=.*|[\w-]{22}|)", re.DOTALL)
_AMOUNT, _CURRENCY = re.compile(r"[0-9]+(\.[0-9]+)?"), re.compile(r"[A-Z]{3}")
#: In front of an id of Wix that is no UUID.
_VERBATIM = "="


class Tombstone(NamedTuple):
    """What is left of a refund."""

    state: State
    """How it ended."""
    ended_at_s: int
    """When it ended, unix seconds by the server's time."""
    amount: str
    """What was refunded, or asked for, a decimal; "" if it is not known."""
    currency: str
    """ISO 4217, "" if it is not known."""
    wix_refund_id: str
    """Wix's id of the refund, "" if there is none."""

    def text(self) -> str:
        """Return what the ledger stores."""
        when = f"{LETTERS[self.state]}{self.ended_at_s:08x}"
        return f"{when}{self.amount}{self.currency}|{_packed(self.wix_refund_id)}"


def tombstone_of(refund: Refund, ended_at_ms: int) -> Tombstone:
    """Return what is to be kept of a refund that ended at this time."""
    stake, wix_id = stake_of(refund), refund.facts.wix_refund_id
    # What could not be read again is left to the archive.
    amount = stake.amount if _AMOUNT.fullmatch(stake.amount) else ""
    currency = stake.currency if amount and _CURRENCY.fullmatch(stake.currency) else ""
    return Tombstone(refund.state, ended_at_ms // 1000, amount, currency, wix_id)


def tombstone_from(fields: Mapping[str, str]) -> Tombstone | None:
    """Read the fields of a record; None if it is not forgotten."""
    found = _TEXT.fullmatch(fields.get("t", ""))
    if not found:
        return None
    letter, at_s, amount, currency, wix_id = found.groups()
    state = next((state for state, each in LETTERS.items() if each == letter), State(letter))
    return Tombstone(state, int(at_s, 16), amount, currency or "", _unpacked(wix_id))


def _packed(wix_id: str) -> str:
    try:
        packed = base64.urlsafe_b64encode(uuid.UUID(wix_id).bytes).decode().rstrip("=")
    except ValueError:
        packed = ""
    # Only what comes back as it was.
    if packed and _unpacked(packed) == wix_id:
        return packed
    return f"{_VERBATIM}{wix_id}" if wix_id else ""


def _unpacked(text: str) -> str:
    if text.startswith(_VERBATIM) or not text:
        return text[1:]
    return str(uuid.UUID(bytes=base64.urlsafe_b64decode(f"{text}==")))
