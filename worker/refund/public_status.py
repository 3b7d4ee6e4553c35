"""The public status of a refund: a small vocabulary for programs that are not ours.

Our states say where a refund stands in its flow, and there will be more of them. These seven words
stay. They are Violet's, and one more: `needs_attention`.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Literal, NamedTuple

from statemachine.flows import State
from worker.refund.facts import Facts
from worker.refund.record import Refund

Status = Literal[
    "processing",
    "completed",
    "partially_completed",
    "failed",
    "external",
    "cancelled",
    "needs_attention",
]


class Meaning(NamedTuple):
    """What the table in worker/refund/README.md says about a status."""

    when: str
    states: str
    """Our states that have it."""
    violet: str
    """The status of a refund at Violet that says the same."""


STATUSES: Mapping[Status, Meaning] = MappingProxyType(
    {
        "processing": Meaning(
            "The refund is not at its end.", "every state that is not named below", "PROCESSING"
        ),
        "completed": Meaning(
            "All that was asked for went back, and nobody has to pay anything.",
            "`refunded`, `voided`, `cancelled` with nothing to pay back",
            "COMPLETED",
        ),
        "partially_completed": Meaning(
            "A part went back; the rest is refused, or was taken back by the provider.",
            "`refunded` with `not_refunded`, or with a part that is reversed",
            "PARTIALLY_COMPLETED",
        ),
        "failed": Meaning(
            "Nothing went back, and nothing will.",
            "`rejected`, `discarded`, `refunded` whose parts are all reversed",
            "FAILED",
        ),
        "external": Meaning(
            "Wix has what it needs, but the money is returned outside of Wix: `to_pay_back` says"
            " how much is left, `null` if Wix does not tell.",
            "`cancelled` and `refunded` with something, or an unknown sum, to pay back; `resolved`",
            "EXTERNAL",
        ),
        "cancelled": Meaning(
            "A person called the refund off before it changed anything.", "`called_off`", "CANCELED"
        ),
        "needs_attention": Meaning(
            "A person of the worker's operator must decide.",
            "`dead`; any state while the refund is on hold",
            "PROCESSING",
        ),
    }
)

_OF_STATE: Mapping[State, Status] = MappingProxyType(
    {
        State.REJECTED: "failed",
        State.DEAD: "needs_attention",
        State.RESOLVED: "external",
        State.DISCARDED: "failed",
        State.CALLED_OFF: "cancelled",
        State.VOIDED: "completed",
    }
)
#: What a payment provider says of a part that did not reach the buyer, W53.
_BACK = frozenset({"FAILED"})


def status_of(refund: Refund) -> Status:
    """Return the status of a record."""
    return "needs_attention" if refund.hold else status_after(refund.state, refund.facts)


def status_after(state: State, facts: Facts) -> Status:
    """Return the status of a refund that is in this state, with these facts."""
    if state in _OF_STATE:
        return _OF_STATE[state]
    if state not in {State.REFUNDED, State.CANCELLED}:
        return "processing"
    failed = [part.status in _BACK for part in facts.payments]
    if failed and all(failed):
        return "failed"
    if any(failed) or facts.not_refunded:
        return "partially_completed"
    if state is State.REFUNDED and not any(part.external for part in facts.payments):
        return "completed"
    return "external" if not facts.to_pay_back or Decimal(facts.to_pay_back) else "completed"


def status_table() -> str:
    """Return the table as Markdown, for the README."""
    rows = ["| `status` | meaning | our states | Violet |", "|---|---|---|---|"]
    rows += [
        f"| `{name}` | {one.when} | {one.states} | `{one.violet}` |"
        for name, one in STATUSES.items()
    ]
    return "\n".join(rows) + "\n"
