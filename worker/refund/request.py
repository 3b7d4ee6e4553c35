"""The job that upstream sends, checked where it enters."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from worker.refund.field_errors import in_words
from worker.refund.free_text import LONGEST_NAME, clean_texts, wrong_texts


def _as_uuid(text: str) -> str:
    """Wix's ids are GUIDs; written in one way, so that the same order is one order."""
    return str(UUID(text))


Guid = Annotated[str, Field(max_length=38), AfterValidator(_as_uuid)]


def _more_than_nothing(text: str) -> str:
    if not Decimal(text):
        raise ValueError("must be more than 0")
    return text


#: Plain decimals only: "1E+2" and "NaN" are not amounts.
Amount = Annotated[
    str, Field(pattern=r"^[0-9]{1,15}(\.[0-9]{1,4})?$"), AfterValidator(_more_than_nothing)
]


#: So many wrong fields are named.
MOST_PROBLEMS = 50


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class RefundLine(_Strict):
    """One line of the order and how many of it are refunded."""

    line_item_id: str = Field(min_length=1, max_length=100, pattern=r"\S")
    """Wix's id of the line."""
    quantity: int = Field(ge=1, le=100_000)
    """How many units."""


class RefundFee(_Strict):
    """One additional fee of the order."""

    additional_fee_id: str = Field(min_length=1, max_length=100, pattern=r"\S")
    """Wix's id of the fee."""
    amount: Amount | None = None
    """A part of it; all that is left of it when not given."""


class RefundRequest(_Strict):
    """The job: queue `refunds`, actor `request_refund`, these as keyword arguments."""

    refund_id: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,99}$")
    """The caller's idempotency key."""
    store_id: Guid
    """The Wix site id."""
    order_id: Guid
    """The Wix order id."""
    lines: tuple[RefundLine, ...] = Field(default=(), max_length=300)
    """Lines to refund; none means all of the order."""
    shipping: Amount | None = None
    """Shipping to refund, a plain decimal in `currency`."""
    additional_fees: tuple[RefundFee, ...] = Field(default=(), max_length=100)
    """Additional fees to refund."""
    amount: Amount | None = None
    """A plain amount in `currency`; with lines, shipping or fees: what they must come to."""
    currency: str | None = Field(default=None, pattern=r"^[A-Z]{3}$")
    """ISO 4217 code; asked for whenever an amount is given, and checked against the order."""
    reason: str = ""
    """Why, in the caller's words; a person may read it."""
    restock: bool = False
    """Put the units back into Wix's inventory."""
    notify_buyer: bool = False
    """Let Wix e-mail the buyer."""
    manual_payments: Literal["escalate", "record"] = "escalate"
    """What to do about payments that Wix cannot refund itself."""
    requested_by: str = ""
    """Which service asked."""
    metadata: dict[str, str] = Field(default_factory=dict, max_length=20)
    """Anything the caller wants to find again in the outcome."""

    @model_validator(mode="after")
    def _amounts_have_a_currency(self) -> RefundRequest:
        if self.amounts and not self.currency:
            raise ValueError("currency is needed with an amount, of shipping and of fees, too")
        if self.restock and self.is_partial and not self.lines:
            raise ValueError("restock needs lines, or a full refund")
        return self

    @property
    def amounts(self) -> tuple[str, ...]:
        """Every amount that the job names, in `currency`."""
        named = (self.amount, self.shipping, *(fee.amount for fee in self.additional_fees))
        return tuple(amount for amount in named if amount)

    @property
    def has_items(self) -> bool:
        """Whether parts of the order are named: Wix then says what they come to."""
        return bool(self.lines or self.shipping or self.additional_fees)

    @property
    def is_partial(self) -> bool:
        """Whether less than the whole order is asked for."""
        return self.has_items or bool(self.amount)

    @property
    def canonical(self) -> str:
        """The job as one JSON text: the same content is the same text."""
        return json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))

    @property
    def digest(self) -> str:
        """Tells whether a second job of the same refund_id has the same content."""
        return hashlib.sha256(self.canonical.encode()).hexdigest()


class InvalidJob(ValueError):
    """A job that cannot become a refund; the sentences name the fields, never their values."""

    def __init__(self, problems: Mapping[str, str]) -> None:
        self.problems = dict(problems)
        super().__init__("; ".join(f"{field}: {text}" for field, text in problems.items()))


def _empty_lists(fields: Mapping[str, Any]) -> dict[str, str]:
    """An empty list must not mean everything: only leaving the field out does.

    The client of version 0.1 sent each field, with its default where nothing was given. Its jobs,
    known by having them all, are still taken: they may be on the queue during an upgrade.
    """
    if set(fields) == set(RefundRequest.model_fields):
        return {}
    sentence = "must not be empty; leave it out to refund all of the order"
    return {
        name: sentence
        for name in ("lines", "additional_fees")
        if isinstance(fields.get(name), Sequence) and not fields[name]
    }


def parse_request(fields: Mapping[str, Any]) -> RefundRequest:
    """Check a job where it enters. Secrets and e-mails in free text are redacted before we keep it.

    Raises:
        InvalidJob: with every wrong field and what is wrong with it.
    """
    if problems := _empty_lists(fields):
        raise InvalidJob(problems)
    try:
        request = RefundRequest.model_validate(dict(fields))
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
        problems = {
            ".".join(str(part)[:LONGEST_NAME] for part in problem["loc"]) or "job": in_words(
                problem
            )
            for problem in found[:MOST_PROBLEMS]
        }
        if len(found) > MOST_PROBLEMS:
            problems["job"] = f"has {len(found)} wrong fields"
        raise InvalidJob(problems) from None
    texts = {"reason": request.reason, "requested_by": request.requested_by}
    if problems := dict(wrong_texts(texts, request.metadata)):
        raise InvalidJob(problems)
    return request.model_copy(update=clean_texts(texts, request.metadata))
