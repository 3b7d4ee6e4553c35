"""The parts of Wix's answers that we read, and no others (about orders: W20 to W45).

A field that nobody reads is not here, so that it decides nothing. A field that every reader needs
is required: an answer without it is not as documented, and never means "none" (W91). A field that
only some refunds need, or that is only shown to people, is `Lenient`: it is None when it is absent
or not as documented, and who needs it asks for it with `needed`.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated, Any, TypeVar

from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    StrictBool,
)
from pydantic.alias_generators import to_camel
from pydantic_core import CoreSchema, core_schema

from worker.errors import Unreadable

T = TypeVar("T")


_ISO = re.compile(r"\d{4}-\d\d-\d\d[T ]")


def _moment(value: Any) -> Any:
    """Accept only ISO 8601 as a time: pydantic also takes numbers, which may mean anything."""
    if isinstance(value, str) and _ISO.match(value):
        return value
    raise ValueError("not a time")


class _OrNone:
    """Marks a field that is None where its value is not valid; pydantic's core sees to it."""

    @staticmethod
    def __get_pydantic_core_schema__(source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.with_default_schema(handler(source), default=None, on_error="default")


class _PlainDecimal:
    """Accepts only decimals and integers as amounts, not "1E+2" and no floats, and not below 0."""

    @staticmethod
    def __get_pydantic_core_schema__(source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        text = core_schema.str_schema(pattern=r"^-?[0-9]{1,16}(\.[0-9]{1,9})?$", strict=True)
        plain = core_schema.union_schema([text, core_schema.int_schema(strict=True)])
        # In pydantic's core as a whole: a refund has some thirty amounts.
        chain = core_schema.chain_schema([plain, core_schema.decimal_schema(ge=Decimal(0))])
        return core_schema.custom_error_schema(
            chain, custom_error_type="plain_decimal", custom_error_message="not a plain decimal"
        )


Plain = Annotated[Decimal, _PlainDecimal]
Moment = Annotated[AwareDatetime, BeforeValidator(_moment)]
#: None if it is absent or not as documented.
Lenient = Annotated[T | None, _OrNone]


def needed(value: T | None, endpoint: str, name: str) -> T:
    """Return the value of a lenient field that this refund needs.

    Raises:
        Unreadable: the answer of *endpoint* does not have it.
    """
    if value is None:
        detail = f"the answer does not match the documentation: {name}"
        raise Unreadable(endpoint, status=200, detail=detail)
    return value


class Answer(BaseModel):
    """Base of all answers: camelCase at Wix, snake_case here; unknown fields are ignored."""

    model_config = ConfigDict(
        frozen=True, extra="ignore", alias_generator=to_camel, populate_by_name=True
    )


class Price(Answer):
    """An amount of money in the order's currency."""

    amount: Plain


class Balance(Answer):
    """The balance of an order, as far as we need it."""

    authorized: Lenient[Price] = None
    paid: Lenient[Price] = None
    pending: Lenient[Price] = None
    refunded: Lenient[Price] = None


class PriceSummary(Answer):
    """What an order costs, by its parts."""

    subtotal: Lenient[Price] = None
    shipping: Lenient[Price] = None
    tax: Lenient[Price] = None
    discount: Lenient[Price] = None
    total: Lenient[Price] = None
    total_additional_fees: Lenient[Price] = None


class CustomActions(Answer):
    """The actions that an order allows, if they are not all."""

    order_actions: Lenient[tuple[str, ...]] = None


class OrderSettings(Answer):
    """What may be done with an order. W25."""

    limited_actions: Lenient[StrictBool] = None
    custom_actions: Lenient[CustomActions] = None


class Order(Answer):
    """An order, as far as we need it. W20."""

    created_date: Moment
    status: str
    fulfillment_status: Lenient[str] = None
    payment_status: Lenient[str] = None
    currency: str = Field(pattern="^[A-Z]{3}$")
    balance_summary: Lenient[Balance] = None
    price_summary: Lenient[PriceSummary] = None
    settings: Lenient[OrderSettings] = None

    def allows(self, action: str) -> bool:
        """Whether its settings allow CANCEL, REFUND or FULFILL; True if they do not say. W25."""
        if self.settings is None:
            return True
        custom = self.settings.custom_actions
        listed = custom.order_actions if custom else None
        return not self.settings.limited_actions and (listed is None or action in listed)

    @property
    def left_to_refund(self) -> Decimal | None:
        """What it has taken and not returned; None if Wix does not say."""
        balance = self.balance_summary
        if balance is None or balance.paid is None:
            return None
        return balance.paid.amount - (balance.refunded.amount if balance.refunded else 0)

    @property
    def has_authorization(self) -> bool:
        """Whether Wix shows an authorized amount. If it shows none, there may still be one."""
        authorized = self.balance_summary.authorized if self.balance_summary else None
        return bool(authorized and authorized.amount)

    @property
    def took_nothing(self) -> bool:
        """Whether Wix says, in two places, that nothing was ever paid for it. W26."""
        balance = self.balance_summary
        amounts = [balance.paid, balance.pending, balance.authorized] if balance else [None]
        is_zero = all(amount is not None and amount.amount == 0 for amount in amounts)
        return is_zero and self.payment_status in {"NOT_PAID", "CANCELED", "DECLINED"}

    @property
    def is_cancelled(self) -> bool:
        """Whether Wix shows it as cancelled, which is final."""
        return self.status == "CANCELED"

    @property
    def is_unfulfilled(self) -> bool:
        """Whether Wix says that none of it is fulfilled; False for an unknown status. W41.

        Raises:
            Unreadable: Wix does not say.
        """
        status = needed(self.fulfillment_status or None, "get_order", "fulfillmentStatus")
        return status == "NOT_FULFILLED"


class OrderAnswer(Answer):
    """The answer of getOrder."""

    order: Order


class FoundOrder(Order):
    """An order that a search found. W22."""

    id: str


class FoundOrders(Answer):
    """The answer of a search for orders by their ids; one may be unreadable."""

    orders: tuple[Lenient[FoundOrder], ...]


class CancelledOrder(Answer):
    """An order after a cancel: only its status counts."""

    status: str

    @property
    def is_cancelled(self) -> bool:
        """Whether Wix shows it as cancelled, which is final."""
        return self.status == "CANCELED"


class CancelAnswer(Answer):
    """The answer of cancelOrder."""

    order: CancelledOrder


class FulfillmentLine(Answer):
    """Fulfilled units of one line."""

    id: str
    quantity: int | None = None


class Fulfillment(Answer):
    """A fulfillment. All its fields are kept, so that it can be recreated after its deletion."""

    model_config = ConfigDict(extra="allow")

    id: str
    line_items: tuple[FulfillmentLine, ...]
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

    fulfillments: tuple[Fulfillment, ...]


class FulfillmentsAnswer(Answer):
    """The answer of listing fulfillments."""

    order_with_fulfillments: OrderWithFulfillments


class FulfillmentsChanged(Answer):
    """The answer of creating and deleting.

    That the field is there tells the answer from an error.
    """

    order_with_fulfillments: dict[str, Any]

    @property
    def is_empty(self) -> bool:
        """Whether Wix says that no fulfillment is left. W40."""
        return bool(self.order_with_fulfillments.get("fulfillments") == [])
