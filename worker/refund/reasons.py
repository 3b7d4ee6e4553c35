"""Reason codes: why a refund was rejected, became a dead letter, or has to wait."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from worker.errors import Buried, CallFailed, Rejected
from worker.observability.redaction import redact_text
from worker.refund.message_reasons import MESSAGE_REASONS
from worker.refund.reason_rows import Reason
from worker.refund.reason_rows import dead as _dead
from worker.refund.reason_rows import held as _held
from worker.refund.reason_rows import rejected as _rejected
from worker.refund.reason_rows import suspended as _suspended

_NOTHING = "Nothing to do."

REASONS: Mapping[str, Reason] = MappingProxyType({
    # The order.
    "order_not_found": _rejected(
        "Wix has no such order in this store.",
        "Check the order id and the store id, then send a new refund with the correct ones."),
    "order_number_unknown": _rejected(
        "Wix finds no order with this number in this store.",
        "Check the number and the store, or send a new refund with the order's id."),
    "order_number_ambiguous": _rejected(
        "Several orders of this store have this number, as imported ones may.",
        "Send a new refund with the id of the order that is meant."),
    "order_pending": _rejected(
        "The order is still waiting for its payment; there is nothing to refund.",
        "Wait until the order is approved, then send a new refund."),
    "order_not_approved": _rejected(
        "The order was not approved within the waiting time; nothing was paid.",
        "Wait until the order is approved, then send a new refund."),
    "order_rejected": _rejected("The order's payment failed at Wix; nothing was paid.", _NOTHING),
    "order_status_unknown": _dead(
        "The order has a status at Wix that this version does not know.",
        "Check the order in the Wix dashboard, report it to the maintainers, then replay."),
    "order_view_only": _dead(
        "Wix shows the order as view-only: its settings do not allow this action.",
        "Refund or cancel the order in the app that owns it. If its settings change, replay."),
    "expired": _rejected(
        "The job says until when the refund may start, and that time has passed.",
        "Send a new refund, if it is still wanted."),
    "currency_mismatch": _rejected(
        "The currency in the job differs from the order's currency.",
        "Send a new refund with the order's currency, or without a currency."),
    "amount_precision": _rejected(
        "The amount has more decimal places than its currency allows.",
        "Send a new refund with an amount that the currency allows."),
    # Cancelling.
    "partial_needs_standard_refund": _rejected(
        "The order was placed before the cutoff and can only be cancelled as a whole.",
        "Send a full refund, or pay the partial amount outside Wix."),
    "cannot_unfulfill": _dead(
        "The order is still fulfilled although it has no fulfillments left, and Wix refuses to"
        " cancel it like this.",
        "Open the order in the Wix dashboard, choose More Actions > Mark as Unfulfilled,"
        " then replay."),
    "also_refundable": _dead(
        "The order is due to be cancelled, which moves no money, but Wix may be able to refund it.",
        "Refund the order in the Wix dashboard, or change REFUNDS_CANCELLATION_REFUNDABLE;"
        " then replay."),
    "refund_refused": _dead(
        "The order is to be refunded before it is cancelled, and the refund was refused or made"
        " only in part; the order is not cancelled.",
        "The detail says why. Refund the order in the Wix dashboard, then replay: it is then"
        " cancelled. To cancel it without a refund, set REFUNDS_CANCELLATION_REFUNDABLE to cancel"
        " before the replay."),
    "refunded_not_cancelled": _dead(
        "The order was refunded, as the settings demand, but Wix refuses to cancel it.",
        "Cancel the order in the Wix dashboard, then replay."),
    "order_keeps_changing": _dead(
        "The order kept changing while it was being cancelled.",
        "Ask the merchant to leave the order unchanged, then replay."),
    "order_authorized": _dead(
        "Wix refuses to cancel the order because of an authorized payment that it does not list.",
        "Void or capture the payment in the Wix dashboard, then replay."),
    "void_failed": _dead(
        "Wix could not void the authorized payment.",
        "Void or capture the payment in the Wix dashboard, then replay."),
    "void_not_settled": _dead(
        "Wix did not show the authorized payment as voided within the waiting time.",
        "Check the payment in the Wix dashboard, then replay: if it still shows as authorized,"
        " it is voided again."),
    # Refunding.
    "already_refunded": _rejected(
        "The order's payments have already been refunded; the detail says by which refunds.",
        _NOTHING),
    "zero_price": _rejected("There is nothing to refund: the price was zero.", _NOTHING),
    "not_paid": _rejected("The order was not paid; there is nothing to refund.", _NOTHING),
    "no_payment_recorded": _rejected(
        "Wix has no payment for this order, as is usual for an imported one.",
        "Pay the buyer where the order was paid."),
    "refund_disabled": _rejected(
        "The payment provider does not allow refunds of this payment.",
        "Pay the buyer outside Wix."),
    "offset_by_chargeback": _rejected(
        "The buyer's bank has already taken the money back with a chargeback.",
        "Respond to the chargeback at the payment provider."),
    "refund_forbidden": _dead(
        "Wix does not allow this payment to be refunded.",
        "Ask the merchant to try it in the Wix dashboard, which shows the cause, then replay."),
    "payment_not_found": _dead(
        "Wix cannot find the payment's transaction at the payment provider.",
        "Refund the payment at its provider, then record the refund in the Wix dashboard.",
        replayable=False),
    "refusal_unknown": _dead(
        "Wix says that the payment cannot be refunded, but does not say why.",
        "Check the order in the Wix dashboard, then replay."),
    "amount_exceeds_refundable": _rejected(
        "The requested amount is more than can still be refunded.",
        "Send a new refund with at most the remaining amount."),
    "amount_mismatch": _rejected(
        "The amount in the job is more than Wix calculates for its lines, shipping and fees.",
        "Send a new refund with at most the amount that Wix calculates, or without an amount."),
    "only_in_full": _rejected(
        "A gift card or membership can only be refunded in full, and this is only part of it.",
        "Send a new refund that covers all of it or none of it."),
    "authorized_only_in_full": _rejected(
        "The payment is authorized but not captured, so it can only be voided as a whole.",
        "Send a full refund, or wait until the payment is captured."),
    "lines_not_refundable": _rejected(
        "Wix cannot refund these lines, fees or this shipping, or can no longer refund them.",
        "Compare the job with the order, then send a new refund for what is left."),
    "restock_refused": _rejected(
        "Wix refused to restock these units and refunded nothing.",
        "Send a new refund without `restock`, and correct the stock manually."),
    "too_many_payments": _dead(
        "The refund involves more payments than one call can have, or than we can choose from.",
        "Refund the order in the Wix dashboard.", replayable=False),
    "manual_payment": _dead(
        "Wix cannot refund this payment itself: it was paid outside Wix, or too long ago.",
        "Pay the buyer through the payment provider, then run"
        " `refunds dead replay ID --manual-done`."),
    "after_manual_payment": _dead(
        "Part of the refund was paid manually, and Wix refuses the rest.",
        "Check what was paid, refund the rest in the Wix dashboard, and inform upstream."),
    "refund_failed": _rejected(
        "The payment provider refused the refund; no money moved.",
        "See the provider's code, fix the cause, then send a new refund."),
    "refund_mixed": _dead(
        "The payment provider paid part of the refund and refused the rest.",
        "Compare both amounts in the Wix dashboard and pay the rest manually.", replayable=False),
    "partly_refunded": _dead(
        "Wix refunded a part of what was requested, and cannot refund the rest.",
        "The dead letter names both amounts and the cause. Pay the rest outside Wix, unless the"
        " buyer's bank has returned it.", replayable=False),
    "refund_vanished": _dead(
        "Wix accepted our refund but no longer lists it.",
        "Look for it in the Wix dashboard before doing anything else."),
    "refund_not_settled": _dead(
        "The payment provider did not settle the refund within the waiting time.",
        "Ask the payment provider, then replay."),
    "provider_down": _dead(
        "The payment provider was down for the whole waiting time.",
        "Replay once the payment provider is available again."),
    "refund_pending": _dead(
        "Another refund of the same payment was pending for the whole waiting time.",
        "Ask the payment provider about it, then replay."),
    # Any transition.
    "outcome_unknown": _dead(
        "A call may have moved money, and Wix does not show whether it did.",
        "Check the order in the Wix dashboard. If it was not refunded, run `refunds dead replay ID"
        " --not-done`; without that option, a replay only checks Wix again."),
    "paid_twice": _dead(
        "Wix shows our refund more than once: the buyer got more than requested.",
        "Recover the amount from the buyer or at the payment provider; the dead letter names Wix's"
        " refunds.", replayable=False),
    "refused_by_wix": _dead(
        "Wix refused the call for a reason that this version has no rule for.",
        "See Wix's error code and request id, fix the cause, then replay."),
    "answer_unreadable": _dead(
        "Wix answered, but the answer does not match its documentation.",
        "Report the field to the maintainers; replay with a version that can read the answer."),
    "attempts_used_up": _dead(
        "All attempts failed until the time for retries was over.",
        "See the last failure, fix its cause, then replay."),
    "store_unknown": _dead(
        "No API key is known for this store, and none was connected within the waiting time.",
        "Connect the store (`refunds stores connect`) or add it to REFUNDS_STORES, then replay."),
    "store_disconnected": _dead(
        "The store was disconnected before the refund had finished.",
        "Connect the store again (`refunds stores connect`), then replay."),
    "wix_stores_missing": _dead(
        "The app Wix Stores is not installed on the store's site, so Wix refuses all such calls.",
        "Ask the merchant to add Wix Stores to the site (Apps > App Market), then replay."),
    "scope_missing": _dead(
        "The store's API key lacks a permission: a box is not ticked in the Wix dashboard.",
        "Tick the box for this key under Account Settings > API Keys, then replay."),
    "store_not_connected": _suspended(
        "The store is not connected yet; its refunds wait for a limited time. None is lost.",
        "Connect the store (`refunds stores connect`) or add it to REFUNDS_STORES; if its id is"
        " wrong, wait: the refunds become dead letters."),
    "order_forbidden": _dead(
        "Wix refuses this call for this order, although it accepts the store's API key for others.",
        "Open the order in the Wix dashboard and check what is special about it; then replay."),
    "key_refused": _suspended(
        "Wix no longer accepts the store's API key. The store's refunds wait; none is lost.",
        "Ask the merchant for a new key and connect it (`refunds stores connect`),"
        " or wait: the worker keeps checking."),
    "key_sealed_shut": _suspended(
        "The store's API key cannot be decrypted with this worker's REFUNDS_VAULT_KEYS.",
        "Add the vault key that encrypted it to REFUNDS_VAULT_KEYS, or connect the store again."),
    "needs_approval": _held(
        "The refund would exceed a limit of the money guards; it waits for an approval.",
        "See the detail, then run `refunds approve ID`, or `refunds approve ID --reject`."),
    "approval_rejected": _dead(
        "A person did not approve the refund, but a call may have changed something at Wix.",
        "Check the order in the Wix dashboard, then run `refunds dead discard ID` or `refunds dead"
        " resolve ID`; a replay looks at Wix first, and asks for the approval again."),
    "worker_error": _dead(
        "The worker itself failed; this is a bug.", "Report it to the maintainers, then replay."),
    **MESSAGE_REASONS,
})  # fmt: skip

#: No code of Wix's is nearly as long.
LONGEST_CODE = 80


#: Our reason for each code that Wix may answer to any call.
FOR_EVERY_CALL: Mapping[str, str] = MappingProxyType(
    {"REQUIRED_APP_NOT_INSTALLED": "wix_stores_missing"}  # W11
)


def end_with(
    reason: str, cause: CallFailed | None = None, detail: str = "", remedy: str = ""
) -> Rejected | Buried:
    """Return the error to raise for this reason: `Rejected` or `Buried`, as in the table.

    A code of Wix that means the same on every call comes first.
    """
    reason = FOR_EVERY_CALL.get((cause and cause.code) or "", reason)
    if REASONS[reason].ends == "rejected":
        return Rejected(reason, cause, detail, remedy)
    return Buried(reason, cause, detail, remedy=remedy)


def what_wix_said(error: CallFailed) -> dict[str, Any]:
    """Return the HTTP status, Wix's error code and its request id, as far as they are known."""
    known = {
        "http_status": error.status,
        # Some codes are words of Wix's answers that we do not know.
        "wix_code": redact_text(error.code[:LONGEST_CODE]) if error.code else None,
        "wix_request_id": error.request_id,
    }
    return {name: value for name, value in known.items() if value is not None}


def reason_of(ending: Rejected | Buried) -> dict[str, Any]:
    """Return what the record and upstream say about an end, with Wix's answer if it caused it."""
    known = REASONS[ending.reason]
    detail = ending.detail or (str(ending.cause) if ending.cause else "")
    return {
        "reason": ending.reason,
        "sentence": known.meaning,
        "remedy": ending.remedy or known.remedy,
        **({"detail": redact_text(detail)} if detail else {}),
        **(what_wix_said(ending.cause) if ending.cause else {}),
    }
