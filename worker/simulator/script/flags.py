"""Flags: how Wix behaves where that is unknown, so that the worker can be tested both ways."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Flags:
    """The unknowns of worker/wix/README.md. The defaults are what seems likely."""

    cancel_twice: Literal["ok", "428"] = "ok"
    """The answer to cancelling an order that is already CANCELED."""
    cancel_fulfilled: Literal["ok", "428"] = "ok"
    """The answer to cancelling an order that is fulfilled."""
    cancel_initialized: Literal["ok", "428"] = "428"
    """The answer to cancelling an order that is INITIALIZED."""
    cancel_archived: Literal["ok", "428"] = "ok"
    """The answer to cancelling an archived order."""
    delete_twice: Literal["404", "ok"] = "404"
    """The answer to deleting a fulfillment that is already deleted."""
    unfulfill_lag_ms: int = 0
    """How long `fulfillmentStatus` stays the same after a fulfillment is deleted."""
    delete_restocks: bool = False
    """Whether deleting a fulfillment restocks its units."""
    split_lines: Literal["ok", "428"] = "ok"
    """Whether a line may be in more than one fulfillment."""
    order_not_found: Literal["coded", "plain"] = "plain"
    """Whether a 404 for an order has the code ORDER_NOT_FOUND on calls other than getOrder."""
    unknown_transactions: Literal["empty", "404"] = "empty"
    """The answer to listing the transactions of an unknown order."""
    refund_cancelled: Literal["ok", "428"] = "ok"
    """The answer to refunding a payment of a CANCELED order."""
    amount_omitted: Literal["full", "400"] = "full"
    """The effect of a refund without an amount, of a payment that can be refunded in part."""
    amount_scale: Literal["checked", "ignored"] = "checked"
    """Whether amounts with more decimals than the currency has are refused."""
    refund_totals: Literal["ignored", "checked"] = "ignored"
    """Whether the items of a refund must add up to the amounts of its payments."""
    fingerprint_kept: bool = True
    """Whether `customerReason` is returned as `details.reason`."""
    reason_text: Literal["kept", "upper", "spaced", "masked"] = "kept"
    """How Wix changes the text of `customerReason`."""
    reason_chars: int = 200
    """How many characters of `customerReason` are returned."""
    refund_list_lag_ms: int = 0
    """How long an accepted refund is missing from the list of transactions."""
    orders_per_list: int = 100
    """How many orders an answer about several orders has at most; the others are missing."""
    chargeback: Literal["reduces", "blocks"] = "reduces"
    """Whether the rest of a payment can be refunded after a partial chargeback."""
    offline_shows_refundable: bool = False
    """Whether refundability shows an offline payment as refundable; the refund call refuses it."""
    gift_card_monetary: bool = True
    """Whether refundability shows the amounts of a gift card."""
    authorized_shows: Literal["NOT_PAID", "PENDING", "PAID"] = "PENDING"
    """`paymentStatus` of an order whose payment is only authorized."""
    authorization_ms: int = 0
    """How long a void or a capture stays pending."""
    provider_ms: int = 0
    """How long the payment provider takes to settle a refund."""
    refund_answer: Literal["scheduled", "settled"] = "scheduled"
    """Whether the answer to a refund shows it as SCHEDULED, or as settled if the provider needs no
    time."""
    external_settles_ms: int = 2_000
    """How long an external refund stays PENDING; 1 to 5 s were observed (W66)."""
    payment_status_lag_ms: int = 0
    """How long the order's `paymentStatus` stays PAID after a refund is settled."""
    stale_ms: int = 0
    """How old the data may be that Wix returns to a read without X-Wix-Consistent."""
    search_lag_ms: int = 0
    """How far the search index lags behind, with or without X-Wix-Consistent."""
    search_omits: Literal["nothing", "archived", "canceled"] = "nothing"
    """Which orders a search never finds, beside those that are INITIALIZED."""
    refund_touches_order: bool = True
    """Whether a refund changes the order's `updatedDate`."""
    cancel_activity: bool = True
    """Whether an order lists when it was cancelled, as an activity."""
    number_filter: Literal["exact", "ignored", "400"] = "exact"
    """What a search by an order's number finds: orders with exactly this number, as documented; or
    all, or it is refused."""
    consistent_token: bool = False
    """Whether answers have the header X-Wix-Consistent."""
    unknown_fields: Literal["ignored", "400"] = "ignored"
    """The answer to a request with undocumented fields."""
    revoked_key: Literal["401", "403"] = "401"
    """The answer to an API key that was revoked."""
    unknown_account_key: Literal["401", "403_html"] = "401"
    """The answer of an account's endpoint to an unknown key."""
    refusal_code: Literal["none", "permission_denied"] = "none"
    """Whether a 403 has the code PERMISSION_DENIED."""
    both_ids: Literal["ok", "400"] = "ok"
    """The answer to a call with both the site's and the account's header."""
    closed_site: Literal["ok", "403"] = "ok"
    """The answer to calls to a site that is in the trash or blocked."""
    currencies_need_premium: bool = True
    """Whether a site needs a Premium plan to list currencies."""
    quota_per_min: int = 0
    """How many calls a site may make within a minute; 0 for any number. Wix documents 200 (W7)."""
    quota_window: Literal["sliding", "fixed"] = "sliding"
    """Whether the last 60 seconds count, or the minute by the clock."""
    quota_counts_refused: bool = False
    """Whether a call that is refused with 429 counts, too."""
    throttled_s: int | None = None
    """The `Retry-After` of a 429, in seconds, if Wix sends one."""
