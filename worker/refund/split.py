"""What the amount of a refund is made of, where Wix tells it."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

from worker.refund.money import minor_units


class SplitLine(BaseModel):
    """The part of one line."""

    model_config = ConfigDict(frozen=True, extra="allow", use_attribute_docstrings=True)

    line_item_id: str
    """Wix's id of the line."""
    quantity: int
    """Number of units."""
    amount: str | None = None
    """What goes back for them, a decimal with their tax and discount; None if Wix does not say."""
    tax: str | None = None
    """The tax in it."""
    discount: str | None = None
    """The discount that was taken off."""


class AmountSplit(BaseModel):
    """What Wix calculated: lines, shipping and fees, and with tax less discount the total."""

    model_config = ConfigDict(frozen=True, extra="allow", use_attribute_docstrings=True)

    total: str
    """All of it, a decimal in the order's currency."""
    lines: tuple[SplitLine, ...] = ()
    """The lines of the job; empty for a whole order."""
    lines_subtotal: str | None = None
    """The lines before tax and discount; None if Wix does not say, as everywhere here."""
    shipping: str | None = None
    """The shipping, with its tax if it is the job's, without it for a whole order."""
    fees: str | None = None
    """The additional fees."""
    tax: str | None = None
    """The tax of all parts."""
    discount: str | None = None
    """The discount of all parts, which is taken off."""

    def public(self, currency: str) -> dict[str, Any]:
        """Return it as the events show it."""

        def shown(amount: str | None) -> dict[str, Any] | None:
            if amount is None:
                return None
            return {"amount": amount, "minor_units": minor_units(amount, currency)}

        names = ("lines_subtotal", "shipping", "fees", "tax", "discount")
        return {
            "lines": [
                line.model_dump() | {"minor_units": minor_units(line.amount, currency)}
                for line in self.lines
            ],
            **{name: shown(getattr(self, name)) for name in names},
        }
