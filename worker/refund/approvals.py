"""Refunds that wait for an approval, because they would exceed a limit of the money guards."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from worker.refund.reasons import REASONS
from worker.refund.stakes import amount_of_units

#: Who holds such a refund, in the place of a person.
GUARD = "money guard"
#: The reason code.
NEEDS_APPROVAL = "needs_approval"

#: Whose refunds a limit counts together, and for how long.
_SCOPES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "store_hour": ("the store", "an hour"),
        "store_day": ("the store", "a day"),
        "store_surge": ("the store", "an hour"),
        "all_hour": ("all stores", "an hour"),
        "all_day": ("all stores", "a day"),
    }
)


@dataclass(frozen=True, kw_only=True)
class Approval:
    """What must be approved."""

    units: int
    """The amount in ten-thousandths; -1 if it is not known."""
    currency: str
    people: int
    """How many different people must approve it."""
    limits: tuple[str, ...]
    """The limits that the refund would exceed, by name."""
    why: str
    """The same in words."""

    @property
    def amount(self) -> str | None:
        """The amount as a decimal, None if it is not known."""
        return f"{amount_of_units(self.units):f}" if self.units >= 0 else None

    def stored(self) -> dict[str, Any]:
        """Return what the record keeps; `lua/guards.lua` reads units, currency and people."""
        return {
            "units": self.units,
            "amount": self.amount,
            "currency": self.currency,
            "people": self.people,
            "limits": list(self.limits),
        }


def approval_from(asks: Mapping[str, Any]) -> Approval:
    """Read what `lua/guards.lua` asks for."""
    currency = asks["currency"]
    passed = asks["passed"]
    return Approval(
        units=int(asks["units"]),
        currency=currency,
        people=int(asks["people"]),
        limits=tuple(dict.fromkeys(one["limit"] for one in passed)),
        why="; ".join(_text(one, currency) for one in passed),
    )


def _text(passed: Mapping[str, str], currency: str) -> str:
    """Say which limit would be passed, and how far."""
    limit, kind = passed["limit"], passed["kind"]
    if kind == "unknown":
        return "the amount is not known"
    most, would_be = int(passed["most"]), int(passed["would_be"])
    if limit == "refund":
        return f"{_money(would_be, currency)} is more than {_money(most, currency)} per refund"
    if limit == "two_people":
        both = f"one person may approve ({_money(most, currency)})"
        return f"{_money(would_be, currency)} is more than {both}"
    whose, within = _SCOPES[limit]
    if limit == "store_surge":
        return f"number {would_be} of {whose} within {within}, far more than usual (over {most})"
    if kind == "count":
        return f"number {would_be} of {whose} within {within} (the limit is {most})"
    reached = f"{whose} would reach {_money(would_be, currency)} within {within}"
    return f"{reached} (the limit is {_money(most, currency)})"


def _money(units: int, currency: str) -> str:
    return f"{amount_of_units(units):f} {currency}"


def reason_to_ask(approval: Approval) -> dict[str, Any]:
    """Return what the record and upstream say about a refund that waits."""
    known = REASONS[NEEDS_APPROVAL]
    return {
        "reason": NEEDS_APPROVAL,
        "sentence": known.meaning,
        "remedy": known.remedy,
        "detail": approval.why,
    }


#: Cyrillic and Greek letters that look like Latin ones, small or capital; and letters of no width.
_LATIN = str.maketrans(
    "авекмнорстухіјѕһԁԛԝӏαβεζηικμνορτυχ",
    "abekmhopctyxijshdqwlabezhikmnoptyx",
    "\u115f\u1160",
)
#: Before the operator's name, as the requester of jobs that `refunds request` sends.
BY_COMMAND = "refunds request, "


def is_requester(name: str, requested_by: str) -> bool:
    """Whether somebody of this name requested a refund, also with `refunds request`."""
    return person_of(name) in {
        person_of(requested_by),
        person_of(requested_by.removeprefix(BY_COMMAND)),
    }


def person_of(name: str) -> str:
    """Return a name as it is compared: another spelling makes nobody else.

    Neither do case, accents, blanks, punctuation, characters that nobody sees, nor letters of other
    alphabets that look like Latin ones.
    """
    folded = unicodedata.normalize("NFKD", name.casefold()).casefold()
    seen = (letter for letter in folded.translate(_LATIN) if letter.isalnum())
    return "".join(seen) or folded
