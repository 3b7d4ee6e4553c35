"""What nobody knows of Wix: each a switch, so that the worker can be tried both ways."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Flags:
    """The unknowns of wix-api.md 6 and 6.8, with what seems likely as default [U]."""

    cancel_twice: Literal["ok", "428"] = "ok"
    """Cancelling an order that is CANCELED."""
    cancel_fulfilled: Literal["ok", "428"] = "ok"
    """Cancelling an order that is fulfilled."""
    delete_twice: Literal["404", "ok"] = "404"
    """Deleting a fulfillment that is gone."""
    unfulfill_lag_ms: int = 0
    """How long `fulfillmentStatus` lags behind a deleted fulfillment."""
    unknown_transactions: Literal["empty", "404"] = "empty"
    """Listing the transactions of an unknown order."""
    refund_cancelled: Literal["ok", "428"] = "ok"
    """refund-payments on a CANCELED order."""
    amount_omitted: Literal["full", "400"] = "full"
    """A payment refund without its amount."""
    fingerprint_kept: bool = True
    """Whether `customerReason` comes back as `details.reason`."""
    stale_ms: int = 0
    """How old a read may be when it does not echo X-Wix-Consistent."""
    consistent_token: bool = True
    """Whether answers carry X-Wix-Consistent."""
    provider_ms: int = 0
    """How long the payment provider takes from SCHEDULED to its end."""
