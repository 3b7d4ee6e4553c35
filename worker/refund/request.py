"""The job that upstream sends, and its validation."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from decimal import Decimal
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, Field, StrictBool, ValidationError, model_validator

from worker.refund.canonical import FIRST_FIELDS, canonical_text, digest_of
from worker.refund.field_errors import in_words
from worker.refund.field_types import (
    Amount,
    Callback,
    Guid,
    Moment,
    OrderNumber,
    ReasonCode,
    TraceParent,
    WholeNumber,
    stand_in_for,
)
from worker.refund.free_text import clean_text, clean_texts, wrong_texts
from worker.refund.parts import RefundFee, RefundLine, Strict
from worker.upstream import invalid, rules
from worker.upstream.invalid import is_too_large


class RefundRequest(Strict):
    """The job: the keyword arguments of the actor `request_refund` on the queue `refunds`."""

    refund_id: str = Field(pattern=f"^{rules.REFUND_ID.pattern}$")
    """The caller's idempotency key."""
    store_id: Guid
    """The Wix site id."""
    order_id: Guid
    """The Wix order id."""
    order_number: OrderNumber | None = None
    """The order's number, instead of `order_id`: the worker looks the order up at Wix."""
    lines: tuple[RefundLine, ...] = Field(default=(), max_length=rules.MOST_LINES)
    """Lines to refund."""
    shipping: Amount | None = None
    """Shipping to refund, a decimal in `currency`."""
    additional_fees: tuple[RefundFee, ...] = Field(default=(), max_length=rules.MOST_FEES)
    """Additional fees to refund."""
    amount: Amount | None = None
    """Total in `currency`; with lines, shipping or fees at most what Wix calculates for them."""
    currency: str | None = Field(default=None, pattern=f"^{rules.CURRENCY.pattern}$")
    """ISO 4217 code. Required with any amount; must match the order's currency."""
    reason: str = ""
    """Caller's reason. A standard refund sends it to Wix, where the customer may see it."""
    restock: StrictBool = False
    """Return the units to the inventory at Wix."""
    notify_buyer: StrictBool = False
    """Let Wix e-mail the buyer."""
    manual_payments: Literal["escalate", "record"] = "escalate"
    """For payments that Wix cannot refund itself: ask a person, or only record them at Wix."""
    requested_by: str = ""
    """The service that sent the job."""
    metadata: dict[str, str] = Field(default_factory=dict, max_length=rules.MOST_NOTES)
    """Caller's own data, kept as it is and repeated in every outcome."""
    reason_code: ReasonCode | None = None
    """Why the order is refunded, one of a closed list; repeated in every outcome."""
    not_before: Moment | None = None
    """Earliest time at which the refund may start."""
    expires_at: Moment | None = None
    """After this time it must not start; it is then rejected with the reason `expired`."""
    priority: Literal["normal", "high"] = "normal"
    """`high` goes before all others that wait in the lane of the same store."""
    traceparent: TraceParent | None = None
    """W3C trace context of the caller; repeated in every outcome."""
    callback: Callback | None = None
    """Name of the webhook that gets the outcomes; repeated in every outcome."""
    version: WholeNumber = Field(default=1, ge=1, le=1)
    """The version of these fields: 1, also if omitted."""

    @property
    def known_order_id(self) -> str | None:
        """Wix's id of the order; None as long as only its number is known."""
        number = self.order_number
        is_known = not number or self.order_id != stand_in_for(self.store_id, number)
        return self.order_id if is_known else None

    @model_validator(mode="after")
    def _amounts_have_a_currency(self) -> RefundRequest:
        if self.is_partial:
            if self.amounts and not self.currency:
                raise ValueError(rules.NEEDS_CURRENCY)
            if self.restock and not self.lines:
                raise ValueError(rules.NEEDS_LINES)
            if self.amount and any(line.amount for line in self.lines):
                raise ValueError(rules.TWO_TOTALS)
        if 0 < self.expires_at_ms <= self.not_before_ms:
            raise ValueError(rules.NEVER)
        return self

    @property
    def not_before_ms(self) -> int:
        """When it may start, unix ms; 0 for at once."""
        return rules.moment_ms(self.not_before) if self.not_before else 0

    @property
    def expires_at_ms(self) -> int:
        """From when on it must not start, unix ms; 0 for never."""
        return rules.moment_ms(self.expires_at) if self.expires_at else 0

    @property
    def schema_needed(self) -> int:
        """The oldest version of the worker that does what the job asks for."""
        is_newer = self.expires_at or self.order_number or any(x.amount for x in self.lines)
        return PARTS if is_newer else SCHEMA

    @property
    def amounts(self) -> tuple[str, ...]:
        """All amounts in the job, in `currency`."""
        of_lines = [line.amount for line in self.lines]
        of_fees = [fee.amount for fee in self.additional_fees]
        named = (self.amount, self.shipping, *of_lines, *of_fees)
        return tuple(amount for amount in named if amount)

    @property
    def named_total(self) -> Decimal | None:
        """How much it asks for in all; None if it leaves that to Wix."""
        if self.amount:
            return Decimal(self.amount)
        parts = [line.amount for line in self.lines] + [fee.amount for fee in self.additional_fees]
        if not self.has_items or not all(parts):
            return None
        return sum((Decimal(amount) for amount in self.amounts), Decimal(0))

    @property
    def has_items(self) -> bool:
        """Whether the job names parts of the order; Wix then calculates their total."""
        return bool(self.lines or self.shipping or self.additional_fees)

    @property
    def is_partial(self) -> bool:
        """Whether the job asks for less than the whole order."""
        return self.has_items or bool(self.amount)

    @property
    def canonical(self) -> str:
        """The job as JSON; equal jobs give equal text."""
        return canonical_text(self)

    @property
    def digest(self) -> str:
        """Hash of the job, to tell a repeated job from one with different content.

        A job has the same digest in every version that can read it.
        """
        return digest_of(self.canonical)


#: Upstream's client raises the same one.
InvalidJob = invalid.InvalidJob

#: The fields of a job, and of each item of its lists.
KNOWN_FIELDS: Mapping[str, frozenset[str]] = {
    "": frozenset(RefundRequest.model_fields),
    "lines": frozenset(RefundLine.model_fields),
    "additional_fees": frozenset(RefundFee.model_fields),
}

#: The version of what a job asks for. A worker does not run a refund of a newer one, because it
#: would ignore what it does not know. Increase it with each field that changes what is refunded.
SCHEMA = 1
#: The version of the worker that knows holds: an older one leaves a refund on hold alone.
HOLDS = 2
#: The version of the worker that knows amounts of lines, and jobs that expire.
PARTS = 3
#: The newest version that this worker knows.
KNOWN_SCHEMA = 3


@lru_cache(maxsize=256)
def stored_request(text: str) -> RefundRequest:
    """Read the job of a record; fields that only a newer version knows are left out.

    Each step of a refund reads the same text.
    """
    with suppress(ValidationError):
        return RefundRequest.model_validate_json(text)
    return RefundRequest.model_validate(_known(RefundRequest, json.loads(text)))


def _known(model: type[BaseModel], stored: Mapping[str, Any]) -> dict[str, Any]:
    known = {name: value for name, value in stored.items() if name in model.model_fields}
    for name, part in (("lines", RefundLine), ("additional_fees", RefundFee)):
        if name in known:
            known[name] = [_known(part, one) for one in known[name]]
    return known


def _empty_lists(fields: Mapping[str, Any]) -> dict[str, str]:
    """An empty list must not mean everything: only leaving the field out does.

    The client of version 0.1 sent each field, with its default where nothing was given. Its jobs,
    known by having them all, are still taken: they may be on the queue during an upgrade.
    """
    if set(fields) == FIRST_FIELDS:
        return {}
    return {
        name: rules.EMPTY
        for name in ("lines", "additional_fees")
        if isinstance(fields.get(name), Sequence) and not fields[name]
    }


def parse_request(
    fields: Mapping[str, Any], *, malformed: Mapping[str, str] = MappingProxyType({})
) -> RefundRequest:
    """Validate a job, unless its message is *malformed*.

    Secrets and e-mail addresses in `reason` and `requested_by` are masked.

    Raises:
        InvalidJob: names each invalid field and its problem.
    """
    two = {"job": rules.TWO_ORDERS} if _names_two_orders(fields) else {}
    if problems := {**malformed} or _empty_lists(fields) or two:
        raise InvalidJob(problems, fields)
    try:
        request = RefundRequest.model_validate(with_order_id(fields))
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
        problems = {
            ".".join(str(part)[: rules.LONGEST_NAME] for part in one["loc"]) or "job": in_words(
                one, KNOWN_FIELDS
            )
            for one in found
        }
        raise InvalidJob(dict(_wrong_texts_of(fields)) | problems, fields) from None
    texts = {"reason": request.reason, "requested_by": request.requested_by}
    if problems := dict(wrong_texts(texts, request.metadata)) or _too_large(fields):
        raise InvalidJob(problems, fields)
    cleaned: dict[str, Any] = clean_texts(texts)
    if any(line.reason for line in request.lines):
        cleaned["lines"] = tuple(
            line.model_copy(update={"reason": clean_text("lines", line.reason)})
            if line.reason
            else line
            for line in request.lines
        )
    return request if cleaned == texts else request.model_copy(update=cleaned)


def with_order_id(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a job; something stands for the id if only the number is known."""
    number = fields.get("order_number")
    if "order_id" in fields or not isinstance(number, str) or rules.is_broken(number):
        return dict(fields)
    try:
        store_id = str(UUID(fields.get("store_id")))
    except (TypeError, ValueError, AttributeError):
        store_id = ""  # it is refused
    return {**fields, "order_id": stand_in_for(store_id, number)}


def _names_two_orders(fields: Mapping[str, Any]) -> bool:
    return fields.get("order_number") is not None and "order_id" in fields


def _wrong_texts_of(fields: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What is wrong with the texts of a job that is invalid for other reasons, too."""
    texts = {name: fields.get(name) for name in ("reason", "requested_by")}
    notes = fields.get("metadata")
    return wrong_texts(
        {name: text for name, text in texts.items() if isinstance(text, str)},
        {key: text for key, text in notes.items() if isinstance(key, str) and isinstance(text, str)}
        if isinstance(notes, Mapping)
        else {},
    )


def _too_large(fields: Mapping[str, Any]) -> dict[str, str]:
    # As JSON, a character of what repr() shows takes four bytes at most; it is far quicker.
    if 4 * len(repr(fields)) <= rules.MOST_BYTES:
        return {}
    return {"job": rules.TOO_LARGE} if is_too_large(fields) else {}
