"""What a refund's record remembers about its order and about our own calls: a typed, frozen model.

A step reads the facts of the record and adds its own. Only the fields that were set are stored, as
one JSON object in the record's field `facts`. Fields that this version does not know are kept.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from worker.observability.compact import redacted_json
from worker.refund.split import AmountSplit


class Lifetime(StrEnum):
    """The event that makes us forget a fact. A fact that names none is kept forever."""

    TRANSITION = "transition"
    """The transition is done."""
    REPLAY = "replay"
    """A person replays the dead letter."""


_UntilDone = (Lifetime.TRANSITION,)
_UntilReplay = (Lifetime.REPLAY,)
_UntilDoneOrReplay = (Lifetime.TRANSITION, Lifetime.REPLAY)


class _Stored(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="allow", use_attribute_docstrings=True, validate_by_name=True
    )

    def known(self) -> dict[str, Any]:
        """Return what was set, in the form of its JSON."""
        return self.model_dump(mode="json", exclude_unset=True, by_alias=True)


class RefundedPayment(_Stored):
    """The part of our refund that goes to one payment, as Wix last showed it."""

    payment_id: str
    """Wix's id of the payment."""
    amount: str | None = None
    """A decimal in the order's currency; None for a membership, which has no amount."""
    status: str = ""
    """Wix's `refundStatus`, W53."""
    external: bool = False
    """Whether Wix only records this part and moves no money, W66."""


class PaidPayment(_Stored):
    """A payment that the order took."""

    payment_id: str
    """Wix's id of the payment."""
    amount: str | None = None
    """A decimal in the order's currency; None for a membership, which has no amount."""
    provider: str = ""
    """Who took it, in Wix's words, "" if Wix does not say."""


class ManualAmount(_Stored):
    """The total that a person was asked to pay back for one payment."""

    amount: str
    """A decimal in the order's currency; "" for a whole membership, which has no amount."""
    already_returned: str = Field(alias="gone")
    """What Wix showed as already returned when we first asked: a decimal, in the same currency."""


class NotRefunded(_Stored):
    """A payment that was asked for, and that Wix cannot refund."""

    payment_id: str
    """Wix's id of the payment."""
    amount: str | None = None
    """What is missing of it, a decimal in the order's currency; None if Wix does not say."""
    reason: str
    """Our reason code."""
    wix_code: str
    """Wix's reason."""


class CancelRefusal(_Stored):
    """Why Wix refused the cancel for good."""

    reason: str
    """Our reason code."""
    endpoint: str
    """Our name of the call."""
    status: int | None = None
    """The HTTP status."""
    code: str | None = None
    """Wix's error code."""
    request_id: str | None = None
    """Wix's id of the request."""


class Overpayment(_Stored):
    """What a person must recover, because Wix made our refund more than once."""

    wix_refund_ids: tuple[str, ...]
    """Wix's ids of the refunds."""
    amount: str
    """What was refunded too much, a decimal in the order's currency."""


class Facts(_Stored):
    """All facts. Each docstring ends with the fact's lifetime."""

    placed_at: str = ""
    """When the order was placed, ISO 8601. Lifetime: forever."""
    currency: str = ""
    """The order's currency, ISO 4217. Lifetime: forever."""
    left_to_refund: str = ""
    """What the order had taken and not returned when we first read it, a decimal in its currency;
    "" if Wix did not say. Lifetime: forever."""
    effect: str = ""
    """What the refund did, once it has finished: one word, for upstream. Lifetime: forever."""
    consistent: str = ""
    """The consistency token of Wix's last answer, W2. Lifetime: forever."""

    wix_refund_id: str = ""
    """Wix's id of our refund. Lifetime: forever."""
    refund_amount: str = ""
    """The sum of our refund, a decimal in the order's currency. Lifetime: forever."""
    split: AmountSplit | None = None
    """What Wix calculated for the job, by lines, shipping, fees and tax. Lifetime: forever."""
    payments: tuple[RefundedPayment, ...] = ()
    """The parts of our refund, one for each payment. Lifetime: forever."""
    paid: tuple[PaidPayment, ...] | None = None
    """What the order had taken; None if it is not known. Lifetime: forever."""
    moved_by_wix: str = ""
    """What Wix returned, a decimal in the order's currency; "" if it is not known.
    Lifetime: forever."""
    to_pay_back: str = ""
    """What somebody still has to pay back, a decimal in the order's currency; "" if it is not
    known. Lifetime: forever."""
    also_refundable: str = ""
    """What Wix could have refunded of an order that was cancelled, a decimal in the order's
    currency. Lifetime: forever."""
    refunds_before: Annotated[tuple[str, ...], _UntilDone] = ()
    """Wix's ids of the refunds that the order had before our first call.
    Lifetime: one transition."""

    not_refunded: tuple[NotRefunded, ...] = ()
    """What Wix cannot refund while it refunds the rest. Lifetime: forever."""
    # Not {}, which pydantic would copy for each object with copy.deepcopy().
    refused_payments: Annotated[dict[str, str], _UntilDoneOrReplay] = Field(default_factory=dict)
    """Wix's reason for each payment of which it refused the refund call.
    Lifetime: one transition, or until a replay."""

    unlisted_before: Annotated[dict[str, str], _UntilDone] = Field(default_factory=dict)
    """What Wix counted as returned without listing it before our first call, by payment id.
    Lifetime: one transition."""

    manual_ids: tuple[str, ...] = ()
    """Ids of the payments that Wix refused to refund itself. Lifetime: forever."""
    manual_asked: dict[str, ManualAmount] = Field(default_factory=dict)
    """What the last dead letter asked a person to pay, by payment id. Lifetime: forever."""
    manual_paid: dict[str, ManualAmount] = Field(default_factory=dict)
    """What a person confirmed as paid before that dead letter, by payment id. Lifetime: forever."""
    manual_done: bool = False
    """Whether a person confirmed that `manual_asked` is paid. Lifetime: forever."""

    fulfillments: tuple[dict[str, Any], ...] = ()
    """The order's fulfillments, complete, so that they can be recreated. Lifetime: forever."""
    deleted: Annotated[tuple[str, ...], _UntilReplay] = ()
    """Ids of the fulfillments whose deletion by us Wix confirmed. Lifetime: until a replay."""
    vanished: Annotated[tuple[str, ...], _UntilReplay] = ()
    """Ids of the fulfillments that disappeared after a call with an unknown effect.
    Lifetime: until a replay."""
    restored: tuple[dict[str, Any], ...] = ()
    """The fulfillments that we recreated. Lifetime: forever."""
    still_fulfilled: bool = False
    """Whether the order shows as fulfilled although no fulfillment is left, W42.
    Lifetime: forever."""
    refusal: CancelRefusal | None = None
    """Why Wix refused the cancel, while we restore the fulfillments. Lifetime: forever."""
    void_ids: tuple[str, ...] = ()
    """Ids of the payments that we asked Wix to void. Lifetime: forever."""

    overpaid: Overpayment | None = None
    """What was refunded too much, if it was. Lifetime: forever."""
    quiet_looks: Annotated[int, _UntilDoneOrReplay] = 0
    """Looks after the settle delay that showed nothing of an unclear call.
    Lifetime: one transition, or until a replay."""
    look_only: Annotated[bool, _UntilDoneOrReplay] = False
    """Whether a person replayed without saying that the unclear call was not done.
    Lifetime: one transition, or until a replay."""

    rounds: Annotated[int, _UntilReplay] = 0
    """How many times the order changed between our steps. Lifetime: until a replay."""
    looks: Annotated[int, _UntilDoneOrReplay] = 0
    """How many times the transition has waited. Lifetime: one transition, or until a replay."""
    waiting_since_ms: Annotated[int, _UntilDoneOrReplay] = 0
    """When the transition first waited, unix ms; 0 if it has not.
    Lifetime: one transition, or until a replay."""
    misses: Annotated[int, _UntilDoneOrReplay] = 0
    """How many looks in a row did not find our refund in Wix's list.
    Lifetime: one transition, or until a replay."""
    changed: Annotated[int, _UntilDoneOrReplay] = 0
    """How many times Wix refused an amount that it had just shown as refundable, or showed
    something else than before the last call.
    Lifetime: one transition, or until a replay."""
    unreadable: Annotated[int, _UntilDoneOrReplay] = 0
    """How many of Wix's answers in a row were not as documented.
    Lifetime: one transition, or until a replay."""
    refusals: Annotated[int, _UntilDoneOrReplay] = 0
    """How many times in a row Wix refused the key, or the store paused because it might have.
    Lifetime: one transition, or until a replay."""
    unclear_sends: Annotated[int, _UntilDone] = 0
    """How many mutating calls of the transition had an unknown effect. Lifetime: one transition."""
    asked_a_person: bool = False
    """Whether the dead letter that was replayed asked about a call with an unknown effect.
    Lifetime: forever; each replay sets it again."""

    @property
    def has_refunded(self) -> bool:
        """Whether a refund of ours was made, or may still settle."""
        return any(part.status != "FAILED" for part in self.payments)

    @property
    def has_moved(self) -> bool:
        """Whether a payment provider made a part of it, and may take it back."""
        return any(not part.external and part.status != "FAILED" for part in self.payments)

    def __or__(self, newer: Facts) -> Facts:
        """Return these facts with those that *newer* sets."""
        names = newer._set()
        if not names or newer is self:
            return self
        return self._with({name: getattr(newer, name) for name in names}) if self._set() else newer

    def forget(self, *lifetimes: Lifetime) -> Facts:
        """Return the facts that remain once these lifetimes have ended."""
        names = self._set()
        kept = names.difference(*map(_ENDED_BY.__getitem__, lifetimes))
        if len(kept) == len(names):
            return self
        # Not by model_construct, which copies the default of each field that was not set.
        return NO_FACTS._with({name: getattr(self, name) for name in kept})

    def to_json(self) -> str:
        """Return the text that the record stores; secrets are masked."""
        return redacted_json(self.known())

    def _with(self, changed: Mapping[str, Any]) -> Facts:
        if self.__pydantic_extra__ or not changed.keys() <= _LIFETIMES.keys():
            return self.model_copy(update=changed)
        # The same as model_copy(), which takes four times as long; a step does it a dozen times.
        made = object.__new__(Facts)
        object.__setattr__(made, "__dict__", {**vars(self), **changed})
        object.__setattr__(made, "__pydantic_fields_set__", self._set() | changed.keys())
        object.__setattr__(made, "__pydantic_extra__", {})
        object.__setattr__(made, "__pydantic_private__", None)
        return made

    def _set(self) -> set[str]:
        # Not by pydantic's properties, which call a function each.
        names, extra = self.__pydantic_fields_set__, self.__pydantic_extra__
        return names | extra.keys() if extra else names


#: Nothing is known.
NO_FACTS = Facts()


def lifetimes_of(name: str) -> frozenset[Lifetime]:
    """Return the lifetimes that end the fact *name*: empty if it is kept forever, or unknown."""
    return _LIFETIMES.get(name, frozenset())


_LIFETIMES: Mapping[str, frozenset[Lifetime]] = {
    name: frozenset(
        lifetime for each in field.metadata if isinstance(each, tuple) for lifetime in each
    )
    for name, field in Facts.model_fields.items()
}
_ENDED_BY: Mapping[Lifetime, frozenset[str]] = {
    lifetime: frozenset(name for name in _LIFETIMES if lifetime in lifetimes_of(name))
    for lifetime in Lifetime
}


def facts_from(text: str) -> Facts:
    """Read what a record stores; "" stands for nothing."""
    if not text:
        return NO_FACTS
    try:
        return Facts.model_validate_json(text)
    except ValidationError:
        return Facts.model_validate(json.loads(text))
