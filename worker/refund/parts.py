"""The parts of an order that a job may name."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from worker.refund.field_types import Amount, LineReason, WholeNumber
from worker.upstream import rules


class Strict(BaseModel):
    """A model that refuses fields that it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class RefundLine(Strict):
    """A line of the order, and how many of its units to refund."""

    line_item_id: str = Field(min_length=1, max_length=rules.LONGEST_PART, pattern=r"\S")
    """Wix's id of the line."""
    quantity: WholeNumber = Field(ge=1, le=rules.MOST_UNITS)
    """Number of units."""
    amount: Amount | None = None
    """Amount for these units in `currency`, if less than Wix calculates: for a restocking fee."""
    reason: LineReason = ""
    """Why this line is refunded; people may read it, Wix does not get it."""


class RefundFee(Strict):
    """One additional fee of the order."""

    additional_fee_id: str = Field(min_length=1, max_length=rules.LONGEST_PART, pattern=r"\S")
    """Wix's id of the fee."""
    amount: Amount | None = None
    """Amount in `currency`; the whole remaining fee if omitted."""
