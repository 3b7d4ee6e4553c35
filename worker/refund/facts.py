"""What a refund's record remembers of its order and of our own calls, as one typed, frozen model.

A step reads the facts of the record and adds its own. Only the fields that were set are stored, as
one JSON object in the record's field `facts`; fields that this version does not know are kept.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict

from worker.observability.redaction import redact


class Lifetime(StrEnum):
    """When a fact is forgotten; one without a lifetime is kept for ever."""

    TRANSITION = "transition"
    """When the transition is done: it is about the attempts at that transition."""
    REPLAY = "replay"
    """When a person replays the dead letter: it counts towards an end."""


_PerTransition = (Lifetime.TRANSITION,)
_PerTransitionOrReplay = (Lifetime.TRANSITION, Lifetime.REPLAY)


class _Stored(BaseModel):
    model_config = ConfigDict(frozen=True, extra="allow")


class RefundedPayment(_Stored):
    """One payment's part of our refund, as Wix last showed it."""

    payment_id: str
    amount: str | None = None
    """A decimal in the order's currency; None for what is not money (a membership)."""
    status: str = ""
    """Wix's `refundStatus`, W53."""
    external: bool = False
    """Whether Wix only recorded it, W66."""


class ManualAmount(_Stored):
    """What a person was asked to pay back of one payment, in all."""

    amount: str
    """A decimal in the order's currency; "" for all of what is not money (a membership)."""
    gone: str
    """What Wix showed as already returned when we first asked."""


class CancelRefusal(_Stored):
    """Why Wix refused the cancel for good."""

    reason: str
    """Our reason code."""
    endpoint: str
    status: int | None = None
    code: str | None = None
    """Wix's error code."""
    request_id: str | None = None


class Facts(_Stored):
    """Every fact, with its unit; the comment of `Lifetime` says when it is forgotten."""

    placed_at: str = ""
    """When the order was placed, ISO 8601."""
    currency: str = ""
    """The order's currency, ISO 4217."""
    effect: str = ""
    """What the refund did, once it has finished."""
    consistent: str = ""
    """Wix's consistency token of the last answer, W2."""

    wix_refund_id: str = ""
    """Wix's id of our refund."""
    refund_amount: str = ""
    """The sum of our refund, a decimal in the order's currency."""
    payments: tuple[RefundedPayment, ...] = ()
    """The parts of our refund."""
    refunds_before: Annotated[tuple[str, ...], _PerTransition] = ()
    """Wix's ids of the refunds that the order had before our first call."""

    manual_ids: tuple[str, ...] = ()
    """Payments that Wix refused to refund itself, by id."""
    manual_asked: dict[str, ManualAmount] = {}
    """What the last dead letter asked a person to pay, by payment id."""
    manual_paid: dict[str, ManualAmount] = {}
    """What a person said before is paid, by payment id."""
    manual_done: bool = False
    """Whether a person says that what was asked is paid."""

    fulfillments: tuple[dict[str, Any], ...] = ()
    """The order's fulfillments, whole: nothing else could bring them back."""
    deleted: Annotated[tuple[str, ...], (Lifetime.REPLAY,)] = ()
    """Ids of the fulfillments that Wix confirmed as deleted by us."""
    vanished: Annotated[tuple[str, ...], (Lifetime.REPLAY,)] = ()
    """Ids of the fulfillments that were gone after an unclear call."""
    restored: tuple[dict[str, Any], ...] = ()
    """The fulfillments that we created again."""
    still_fulfilled: bool = False
    """Whether the order shows as fulfilled although no fulfillment is left, W42."""
    refusal: CancelRefusal | None = None
    void_ids: tuple[str, ...] = ()
    """Ids of the payments that we asked Wix to void."""

    rounds: Annotated[int, (Lifetime.REPLAY,)] = 0
    """How often the order changed between our steps."""
    looks: Annotated[int, _PerTransitionOrReplay] = 0
    """How often the transition has waited."""
    waiting_since_ms: Annotated[int, _PerTransitionOrReplay] = 0
    """When it first waited, unix ms; 0 when it did not."""
    misses: Annotated[int, _PerTransitionOrReplay] = 0
    """Looks in a row in which Wix did not list our refund."""
    changed: Annotated[int, _PerTransitionOrReplay] = 0
    """How often less was left than Wix had told."""
    unclear_sends: Annotated[int, _PerTransition] = 0
    """Mutating calls of the transition whose effect is unknown."""
    asked_a_person: bool = False
    """Whether a person who replayed was asked about an unclear call."""

    def __or__(self, newer: Facts) -> Facts:
        """Return these facts with those that *newer* sets."""
        return self.model_copy(update={name: getattr(newer, name) for name in newer._set()})

    def forget(self, *lifetimes: Lifetime) -> Facts:
        """Return the facts that live on after these lifetimes have ended."""
        gone = {
            name
            for name, field in Facts.model_fields.items()
            for given in field.metadata
            if isinstance(given, tuple) and set(given) & set(lifetimes)
        }
        return Facts.model_construct(
            **{name: getattr(self, name) for name in self._set() if name not in gone}
        )

    def known(self) -> dict[str, Any]:
        """Return the facts that were set, as JSON has them."""
        return self.model_dump(mode="json", exclude_unset=True)

    def to_json(self) -> str:
        """Return the text that the record stores; secrets are masked."""
        return json.dumps(redact(self.known()), ensure_ascii=False)

    def _set(self) -> frozenset[str]:
        return frozenset(self.model_fields_set | set(self.model_extra or {}))


#: Nothing is known.
NO_FACTS = Facts()


def facts_from(text: str) -> Facts:
    """Read what a record stores, "" for nothing."""
    stored: Mapping[str, Any] = json.loads(text or "{}")
    return Facts.model_validate(stored)
