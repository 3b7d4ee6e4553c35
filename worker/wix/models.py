"""What we read of Wix's answers about orders: permissive, because documented fields may be absent.

The shapes: W20 to W75.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel


def as_list(value: Any) -> Any:
    """An absent list is an empty one."""
    return [] if value is None else value


def _plain(value: Any) -> Any:
    """Money is a plain decimal: "1E+2" or a float is not an amount that we would send back."""
    if isinstance(value, str) and re.fullmatch(r"-?\d{1,16}(\.\d{1,9})?", value):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise ValueError("not a plain decimal")


Plain = Annotated[Decimal, BeforeValidator(_plain)]


class Answer(BaseModel):
    """Base of all shapes: Wix's spelling outside, ours inside; unknown fields are passed over."""

    model_config = ConfigDict(
        frozen=True, extra="ignore", alias_generator=to_camel, populate_by_name=True
    )


class Price(Answer):
    """An amount of money; its currency is the order's."""

    amount: Plain = Field(ge=0)


class Balance(Answer):
    """What was paid and what is only reserved; balances of more kinds exist."""

    authorized: Price | None = None


class OrderLine(Answer):
    """One line of an order."""

    id: str
    quantity: int = 1


class Order(Answer):
    """An order, as far as a refund needs it."""

    id: str
    created_date: AwareDatetime
    status: str
    fulfillment_status: str = ""
    payment_status: str = ""
    currency: str = ""
    balance_summary: Balance | None = None
    line_items: Annotated[tuple[OrderLine, ...], BeforeValidator(as_list)] = ()

    @property
    def has_authorization(self) -> bool:
        """Whether Wix shows money that is reserved, not paid; absent is no proof of none."""
        authorized = self.balance_summary.authorized if self.balance_summary else None
        return bool(authorized and authorized.amount)

    @property
    def is_cancelled(self) -> bool:
        """Whether Wix shows it cancelled, which is final."""
        return self.status == "CANCELED"

    @property
    def is_unfulfilled(self) -> bool:
        """Whether Wix says that nothing of it is fulfilled; any other word is not that."""
        return self.fulfillment_status == "NOT_FULFILLED"


class OrderAnswer(Answer):
    """The answer of getOrder and cancelOrder."""

    order: Order


class FulfillmentLine(Answer):
    """Units of one line."""

    id: str
    quantity: int | None = None


class Fulfillment(Answer):
    """A shipment; kept whole before it is deleted, because nothing else can bring it back."""

    model_config = ConfigDict(extra="allow")

    id: str
    line_items: Annotated[tuple[FulfillmentLine, ...], BeforeValidator(as_list)] = ()
    tracking_info: dict[str, Any] | None = None

    def whole(self) -> dict[str, Any]:
        """Everything that Wix said of it, in Wix's spelling."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)

    @property
    def fingerprint(self) -> str:
        """Lines and tracking number: by these one made again is known, as its id is new."""
        lines = sorted(f"{line.id}x{line.quantity or 0}" for line in self.line_items)
        number = (self.tracking_info or {}).get("trackingNumber") or ""
        return f"{' '.join(lines)}|{number}"


class OrderWithFulfillments(Answer):
    """All fulfillments of one order."""

    fulfillments: Annotated[tuple[Fulfillment, ...], BeforeValidator(as_list)] = ()


class FulfillmentsAnswer(Answer):
    """The answer of listing and deleting."""

    order_with_fulfillments: OrderWithFulfillments
