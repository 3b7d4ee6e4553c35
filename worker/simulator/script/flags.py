"""What nobody knows of Wix: each a switch, so that the worker can be tried both ways."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Flags:
    """What is unknown of Wix (worker/wix/README.md), with what seems likely as default."""

    cancel_twice: Literal["ok", "428"] = "ok"
    """Cancelling an order that is CANCELED."""
    cancel_fulfilled: Literal["ok", "428"] = "ok"
    """Cancelling an order that is fulfilled."""
    cancel_initialized: Literal["ok", "428"] = "428"
    """Cancelling an order that is INITIALIZED."""
    cancel_archived: Literal["ok", "428"] = "ok"
    """Cancelling an archived order."""
    delete_twice: Literal["404", "ok"] = "404"
    """Deleting a fulfillment that is gone."""
    unfulfill_lag_ms: int = 0
    """How long `fulfillmentStatus` lags behind a deleted fulfillment."""
    delete_restocks: bool = False
    """Whether deleting a fulfillment gives its units back to the inventory."""
    split_lines: Literal["ok", "428"] = "ok"
    """Whether a line may be in more than one fulfillment."""
    order_not_found: Literal["coded", "plain"] = "coded"
    """Whether calls other than getOrder say ORDER_NOT_FOUND, or only 404."""
    unknown_transactions: Literal["empty", "404"] = "empty"
    """Listing the transactions of an unknown order."""
    refund_cancelled: Literal["ok", "428"] = "ok"
    """refund-payments on a CANCELED order."""
    amount_omitted: Literal["full", "400"] = "full"
    """A payment refund without its amount, of what is not refunded only in full."""
    amount_scale: Literal["checked", "ignored"] = "checked"
    """Whether more digits than the currency has are refused."""
    refund_totals: Literal["ignored", "checked"] = "ignored"
    """Whether refundItems must add up to the payments' amounts."""
    fingerprint_kept: bool = True
    """Whether `customerReason` comes back as `details.reason`."""
    reason_text: Literal["kept", "upper", "spaced", "masked"] = "kept"
    """What becomes of the text of `customerReason`."""
    reason_chars: int = 200
    """So many characters of `customerReason` come back."""
    refund_list_lag_ms: int = 0
    """How long the list of transactions lags behind an accepted refund."""
    chargeback: Literal["reduces", "blocks"] = "reduces"
    """What a chargeback does to the rest of its payment."""
    offline_shows_refundable: bool = False
    """Whether refundability calls an offline payment refundable; only the refund call refuses."""
    gift_card_monetary: bool = True
    """Whether refundability shows a gift card with amounts."""
    authorized_shows: Literal["NOT_PAID", "PENDING", "PAID"] = "NOT_PAID"
    """`paymentStatus` of an order whose payment is only authorized."""
    authorization_ms: int = 0
    """How long a void or a capture takes."""
    provider_ms: int = 0
    """How long the payment provider takes from SCHEDULED to its end."""
    external_settles_ms: int = 2_000
    """How long an external refund is PENDING: 1 to 5 seconds, as observed. W66."""
    payment_status_lag_ms: int = 0
    """How long the order's `paymentStatus` lags behind a settled refund."""
    stale_ms: int = 0
    """How old a read may be when it does not echo X-Wix-Consistent."""
    search_lag_ms: int = 0
    """How far the search index lags behind, whatever is echoed."""
    consistent_token: bool = True
    """Whether answers carry X-Wix-Consistent."""
    unknown_fields: Literal["ignored", "400"] = "ignored"
    """Fields in a request that no document names."""
    revoked_key: Literal["401", "403"] = "401"
    """A well-formed key that was revoked."""
    unknown_account_key: Literal["401", "403_html"] = "401"
    """A wrong key on an account's endpoint."""
    refusal_code: Literal["none", "permission_denied"] = "none"
    """Whether a 403 carries the code PERMISSION_DENIED."""
    both_ids: Literal["ok", "400"] = "ok"
    """A call with both id headers."""
    closed_site: Literal["ok", "403"] = "ok"
    """Calls to a site that is trashed or blocked."""
    currencies_need_premium: bool = True
    """Whether only premium sites may list currencies."""
    throttled_s: int | None = None
    """`Retry-After` of a 429, when Wix sends one at all."""
