"""The parts of Wix's answers about orders that we read. Documented fields may be absent.

The fields are described in W20 to W45.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel


def as_list(value: Any) -> Any:
    """Return an empty list for a missing one."""
    return [] if value is None else value


def _plain(value: Any) -> Any:
    """Accept only decimals and integers as amounts, not "1E+2" and no floats."""
    if isinstance(value, str) and re.fullmatch(r"-?\d{1,16}(\.\d{1,9})?", value):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise ValueError("not a plain decimal")


Plain = Annotated[Decimal, BeforeValidator(_plain)]


class Answer(BaseModel):
    """Base of all answers: camelCase at Wix, snake_case here; unknown fields are ignored."""

    model_config = ConfigDict(
        frozen=True, extra="ignore", alias_generator=to_camel, populate_by_name=True
    )


class Price(Answer):
    """An amount of money in the order's currency."""

    amount: Plain = Field(ge=0)


class Balance(Answer):
    """The balance of an order, as far as we need it."""

    authorized: Price | None = None


class OrderLine(Answer):
    """One line of an order."""

    id: str
    quantity: int = 1


class Order(Answer):
    """An order, as far as we need it. W20."""

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
        """Whether Wix shows an authorized amount. If it shows none, there may still be one."""
        authorized = self.balance_summary.authorized if self.balance_summary else None
        return bool(authorized and authorized.amount)

    @property
    def is_cancelled(self) -> bool:
        """Whether Wix shows it as cancelled, which is final."""
        return self.status == "CANCELED"

    @property
    def is_unfulfilled(self) -> bool:
        """Whether Wix says that none of it is fulfilled; False for an unknown status. W41."""
        return self.fulfillment_status == "NOT_FULFILLED"


class OrderAnswer(Answer):
    """The answer of getOrder and cancelOrder."""

    order: Order


class FulfillmentLine(Answer):
    """Fulfilled units of one line."""

    id: str
    quantity: int | None = None


class Fulfillment(Answer):
    """A fulfillment. All its fields are kept, so that it can be recreated after its deletion."""

    model_config = ConfigDict(extra="allow")

    id: str
    line_items: Annotated[tuple[FulfillmentLine, ...], BeforeValidator(as_list)] = ()
    tracking_info: dict[str, Any] | None = None

    def whole(self) -> dict[str, Any]:
        """Return all its fields, as Wix sent them."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)

    @property
    def fingerprint(self) -> str:
        """Lines and tracking number, to recognise it when it was recreated with a new id."""
        lines = sorted(f"{line.id}x{line.quantity or 0}" for line in self.line_items)
        number = (self.tracking_info or {}).get("trackingNumber") or ""
        return f"{' '.join(lines)}|{number}"


class OrderWithFulfillments(Answer):
    """All fulfillments of one order."""

    fulfillments: Annotated[tuple[Fulfillment, ...], BeforeValidator(as_list)] = ()


class FulfillmentsAnswer(Answer):
    """The answer of listing, creating and deleting fulfillments."""

    order_with_fulfillments: OrderWithFulfillments
