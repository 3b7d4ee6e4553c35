"""What an outcome event looks like. Readers must ignore fields that they do not know."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from worker.refund.outcomes import STORE_TYPES, TYPES
from worker.refund.public_status import Status

_TYPES = [*TYPES.values(), *STORE_TYPES.values()]


class _Documented(BaseModel):
    model_config = ConfigDict(frozen=True, extra="allow", use_attribute_docstrings=True)


class Money(_Documented):
    """An amount and its currency."""

    amount: str | None = Field(examples=["12.50"])
    """A decimal; null for a membership, which is not money."""
    currency: str | None = Field(examples=["EUR"])
    """ISO 4217 code; null if Wix does not tell it."""
    minor_units: int | None = Field(default=None, examples=[1250])
    """The amount in the currency's smallest unit; null if that is not known."""


class Part(_Documented):
    """A part of an amount, in the currency of the event."""

    amount: str
    """A decimal."""
    minor_units: int | None = None
    """The amount in the currency's smallest unit."""


class Line(_Documented):
    """What goes back for one line."""

    line_item_id: str
    """Wix's id of the line."""
    quantity: int
    """Number of units."""
    amount: str | None = None
    """A decimal, with tax and discount; null if Wix does not tell."""
    minor_units: int | None = None
    """The amount in the currency's smallest unit."""
    tax: str | None = None
    """The tax in it."""
    discount: str | None = None
    """The discount that was taken off."""


class Split(_Documented):
    """What the refunded amount is made of, as Wix calculates it; null for what it does not tell."""

    lines: list[Line] = []
    """The lines of the job; empty for a whole order."""
    lines_subtotal: Part | None = None
    """The lines before tax and discount."""
    shipping: Part | None = None
    """The shipping."""
    fees: Part | None = None
    """The additional fees."""
    tax: Part | None = None
    """The tax of all parts."""
    discount: Part | None = None
    """The discount of all parts, which is taken off."""


class Payment(_Documented):
    """One payment of the order."""

    payment_id: str
    """Wix's id of the payment."""
    amount: str | None = Field(default=None, examples=["12.50"])
    """A decimal in the currency of the event; null for a membership."""
    minor_units: int | None = None
    """The amount in the currency's smallest unit."""
    status: str = ""
    """Where the part of a refund stands at the provider, in Wix's words."""
    external: bool = False
    """Whether Wix only recorded it, and moved no money."""
    provider: str | None = None
    """Who took the payment, in Wix's words; null if Wix does not tell."""


class Data(_Documented):
    """What happened to a refund or a store; each type has some of the fields."""

    refund_id: str = Field(default="", examples=["rf-2024-000123"])
    """The caller's idempotency key; absent in events about a store or a merchant's act."""
    store_id: str | None
    """The Wix site id; null in an event about all stores."""
    order_id: str | None = ""
    """The Wix order id; absent in events about a store, null until an order's number is found."""
    order_number: str = ""
    """What the job says, absent if it says the id; the order's number in events about a merchant's
    act."""
    requested_by: str = ""
    """What the job says."""
    metadata: dict[str, str] = Field(default={}, examples=[{"ticket": "T-7"}])
    """The caller's own data, as the job has it."""
    reason_code: str = Field(default="", examples=["defective"])
    """What the job says; absent if it says nothing."""
    traceparent: str = ""
    """What the job says; absent if it says nothing."""
    callback: str = ""
    """What the job says; absent if it says nothing."""
    status: Status | None = None
    """Where the refund stands after the event, in words that stay; absent in events about a store,
    and in those of older versions."""
    state: str = Field(default="", examples=["refunded"])
    """The state in which the refund ended, or which it has reached (`refund.progress`)."""
    flow: str | None = Field(default=None, examples=["standard"])
    """Whether the order is cancelled or gets a standard refund; null if that is not known yet."""
    effect: str = ""
    """What the refund did; only in `refund.finished`."""
    amount: Money | None = None
    """What was refunded; null if no money moved, as in a cancellation. In `refund.approval_needed`
    what would be."""
    limits: list[str] = Field(default=[], examples=[["refund"]])
    """The limits that it would exceed; only in `refund.approval_needed`."""
    approvals_needed: int = 0
    """How many people must approve it; only in `refund.approval_needed`."""
    split: Split | None = None
    """What the amount is made of; null where Wix does not tell, or refunded another amount."""
    payments: list[Payment] = []
    """The payments of the refund, with their status."""
    not_refunded: list[Payment] = []
    """The payments that Wix could not refund, with amount and reason."""
    paid: list[Payment] | None = None
    """What the order had taken; null where Wix does not tell."""
    moved_by_wix: Money | None = None
    """What Wix returned."""
    to_pay_back: Money | None = None
    """What is left for somebody else to return."""
    to_recover: Money | None = None
    """What was paid twice; only in `refund.overpaid`."""
    wix_refund_ids: list[str] = []
    """The refunds at Wix: ours in `refund.overpaid`, the merchant's in `refund.observed`."""
    happened_at: datetime | None = None
    """When the merchant did it, as Wix says; null if Wix does not. Only in `refund.observed` and
    `order.cancelled_by_merchant`."""
    reason: dict[str, Any] | str | None = None
    """Why, with a `reason` code of the table in worker/refund/README.md."""
    resolution: dict[str, Any] | None = None
    """Who ended the refund, and why; only where a person did."""
    may_have_moved_money: bool = False
    """Whether a call to Wix had an unknown effect; only where a person ended the refund."""
    by_merchant: bool | None = None
    """Whether the merchant had done it before us."""
    operator: str = ""
    """Who replayed a dead letter."""
    name: str | None = None
    """The name of a connected store."""
    currency: str | None = None
    """The currency of a connected store."""
    time_zone: str | None = None
    """The time zone of a connected store."""
    by: str = ""
    """Who paused or resumed a store."""
    why: str = ""
    """Why a store was paused."""
    ended: str = ""
    """What `store.resumed` ended: `pause`; absent if it was a suspension."""


class Event(_Documented):
    """One outcome event: a CloudEvent 1.0 in structured JSON."""

    specversion: Literal["1.0"]
    """The version of CloudEvents."""
    type: str = Field(json_schema_extra={"enum": list(_TYPES)})
    """What happened."""
    source: str
    """The installation that wrote the event."""
    id: str = Field(examples=["rf-2024-000123/5/refund_submitted"])
    """Unique together with `source`; a repeated event has the same one."""
    time: datetime
    """When it was written."""
    subject: str = Field(examples=["rf-2024-000123"])
    """The refund's id; the order's id in an event about a merchant's act; the store's id, or `*`
    for all stores, in an event about a store."""
    datacontenttype: Literal["application/json"]
    """The media type of `data`."""
    data: Data
    """What happened in detail."""
