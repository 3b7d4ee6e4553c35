"""Every reason for which a refund does not simply end well: a table for code and people."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from worker.errors import Buried, CallFailed, Rejected
from worker.observability.redaction import redact_text


class Reason(NamedTuple):
    """What a reason code means, how it ends, and what a person can do about it."""

    ends: Literal["rejected", "dead", "suspended"]
    """An answer for upstream; a dead letter; not at all: the store's refunds wait in their lane."""
    replayable: bool
    """Whether the same refund may still end well once the remedy is done."""
    meaning: str
    """A sentence that upstream may show to its own support."""
    remedy: str


def _rejected(meaning: str, remedy: str) -> Reason:
    return Reason("rejected", False, meaning, remedy)  # noqa: FBT003 - a row of a table


def _dead(meaning: str, remedy: str, *, replayable: bool = True) -> Reason:
    return Reason("dead", replayable, meaning, remedy)


def _suspended(meaning: str, remedy: str) -> Reason:
    return Reason("suspended", False, meaning, remedy)  # noqa: FBT003 - a row of a table


_NOTHING = "Nothing to do."

REASONS: Mapping[str, Reason] = MappingProxyType({
    # The order.
    "order_not_found": _rejected(
        "Wix knows no such order in this store.",
        "Check order and store; send a new refund with the right ids."),
    "order_pending": _rejected(
        "The order still waits for its payment; there is nothing to refund.",
        "Wait until the order is approved, then send a new refund."),
    "order_not_approved": _rejected(
        "The order was not approved in the time we wait; nothing was paid.",
        "Wait until the order is approved, then send a new refund."),
    "order_rejected": _rejected("The order's payment failed at Wix; nothing was paid.", _NOTHING),
    "order_status_unknown": _dead(
        "Wix shows the order in a status that this version does not know.",
        "Look at the order in the Wix dashboard, tell the maintainers, then replay."),
    "currency_mismatch": _rejected(
        "The job names another currency than the order's.",
        "Send a new refund with the order's currency, or none."),
    "amount_precision": _rejected(
        "The amount has more decimals than its currency.",
        "Send a new refund with an amount that can be paid."),
    # Cancelling.
    "partial_needs_standard_refund": _rejected(
        "The order was placed before the cutoff: it can only be cancelled as a whole.",
        "Send a full refund, or pay the part outside of Wix."),
    "cannot_unfulfill": _dead(
        "The order stays fulfilled although no fulfillment is left, and Wix did not cancel it so.",
        "In the Wix dashboard open the order, choose More Actions, Mark as Unfulfilled;"
        " then replay."),
    "order_keeps_changing": _dead(
        "The order changed again between our steps, several times.",
        "Agree with the merchant, then replay."),
    "order_authorized": _dead(
        "Wix does not cancel the order because of an authorized payment that it does not show.",
        "Void or capture the payment in the Wix dashboard, then replay."),
    "void_failed": _dead(
        "Wix could not void the authorized payment.",
        "Void or capture the payment in the Wix dashboard, then replay."),
    "void_not_settled": _dead(
        "The void of the authorized payment did not show in the time we wait.",
        "Look at the payment in the Wix dashboard, then replay."),
    # Refunding.
    "already_refunded": _rejected(
        "The order's payments are refunded already, not by us.", _NOTHING),
    "zero_price": _rejected("There is nothing to pay back: the price was zero.", _NOTHING),
    "not_paid": _rejected("The order was not paid; there is nothing to refund.", _NOTHING),
    "not_refundable": _rejected(
        "Wix says that the payment cannot be refunded.", "See Wix's code for the cause."),
    "refund_disabled": _rejected(
        "The payment provider does not allow refunds of this payment.",
        "Pay the buyer outside of Wix."),
    "offset_by_chargeback": _rejected(
        "A chargeback of the buyer's bank took the money back already.",
        "Answer the chargeback at the payment provider."),
    "refund_forbidden": _dead(
        "Wix forbids the refund of this payment.",
        "Ask the merchant to try it in the Wix dashboard, which tells more; then replay."),
    "payment_not_found": _dead(
        "Wix does not find the payment's transaction at the provider.",
        "Look for the payment at its provider; record the refund in the Wix dashboard.",
        replayable=False),
    "refusal_unknown": _dead(
        "Wix calls the payment not refundable for a cause that it does not name.",
        "Look at the order in the Wix dashboard, then replay."),
    "amount_exceeds_refundable": _rejected(
        "More was asked than can still be refunded.",
        "Send a new refund with at most what is left."),
    "amount_mismatch": _rejected(
        "The lines, shipping and fees do not come to the amount that the job names.",
        "Send a new refund with Wix's amount, or without one."),
    "only_in_full": _rejected(
        "A gift card or membership can only be refunded in full, and this is a part of it.",
        "Send a refund that covers it in full, or leaves it out."),
    "authorized_only_in_full": _rejected(
        "The payment is authorized, not captured: it can only be voided as a whole.",
        "Send a full refund, or wait until the payment is captured."),
    "lines_not_refundable": _rejected(
        "Wix cannot refund these lines, fees or this shipping (any more).",
        "Compare with the order; send a new refund with what is left."),
    "restock_refused": _rejected(
        "Wix refuses to restock these units, and refunded nothing.",
        "Send a new refund without restock; correct the stock by hand."),
    "too_many_payments": _dead(
        "The refund needs more payments than Wix takes in one call.",
        "Refund the order in the Wix dashboard.", replayable=False),
    "manual_payment": _dead(
        "Wix cannot move this money itself (paid outside of Wix, or too long ago).",
        "Pay the buyer by the provider's own means, then `refunds dead replay ID --manual-done`."),
    "after_manual_payment": _dead(
        "Money was paid by hand, and Wix does not take the rest of the refund as it was asked for.",
        "See what was paid; settle the rest in the Wix dashboard, and tell upstream."),
    "refund_failed": _rejected(
        "The payment provider refused the refund; no money moved.",
        "See the provider's code; send a new refund once its cause is gone."),
    "refund_mixed": _dead(
        "The provider paid a part of the refund and refused the rest.",
        "Compare both amounts in the Wix dashboard and pay the rest by hand.", replayable=False),
    "refund_vanished": _dead(
        "Wix took our refund but does not show it any more.",
        "Look for it in the Wix dashboard before anything else."),
    "refund_not_settled": _dead(
        "The provider did not settle the refund in the time we wait.",
        "Ask the payment provider, then replay."),
    "provider_down": _dead(
        "The payment provider was down for all the time we wait.",
        "Replay once the provider works again."),
    "refund_pending": _dead(
        "Another refund of the payment was on its way for all the time we wait.",
        "Ask the payment provider about it, then replay."),
    # Everything.
    "outcome_unknown": _dead(
        "A call may have moved money and Wix does not show whether it did.",
        "Look at the order in the Wix dashboard. If it was not refunded, `refunds dead replay ID"
        " --not-done`; without that option, a replay only looks again."),
    "paid_twice": _dead(
        "Wix shows more than one refund of ours: the buyer got more than was asked for.",
        "Recover the amount from the buyer or at the payment provider; the letter names Wix's"
        " refunds.", replayable=False),
    "refused_by_wix": _dead(
        "Wix refused the call for a cause we have no rule for.",
        "See Wix's code and request id; replay once the cause is gone."),
    "answer_unreadable": _dead(
        "Wix answers, but not as it documents.",
        "Tell the maintainers which field; replay with a version that reads it."),
    "attempts_used_up": _dead(
        "It failed again and again until the time for retries was over.",
        "See the last failure; replay once its cause is gone."),
    "store_unknown": _dead(
        "No credentials are known for this store.",
        "Connect it (`refunds stores connect`) or add it to REFUNDS_STORES, then replay."),
    "store_disconnected": _dead(
        "The store was disconnected while the refund was not finished.",
        "Connect it again (`refunds stores connect`), then replay."),
    "scope_missing": _dead(
        "The store's API key may not do this: a box is not ticked in the Wix dashboard.",
        "Tick the box for this key under Account Settings → API Keys, then replay."),
    "key_refused": _suspended(
        "Wix does not accept the store's API key any more; its refunds wait, nothing is lost.",
        "Ask the merchant for a new key and connect it (`refunds stores connect`),"
        " or wait: Wix is asked again."),
    "key_sealed_shut": _suspended(
        "The store's sealed key does not open with this worker's REFUNDS_VAULT_KEYS.",
        "Give the worker the vault key that sealed it, or connect the store again."),
    "worker_error": _dead(
        "The worker itself failed; this is a bug.", "Tell the maintainers, then replay."),
    # Messages that never became a refund.
    "invalid_job": _dead(
        "The job has a wrong field, so it never became a refund.",
        "Send it again with the named field corrected.", replayable=False),
    "conflict": _dead(
        "Another job with the same refund_id and other content was accepted before.",
        "Send it again with a refund_id of its own if both are meant.", replayable=False),
    "undecodable": _dead("The message could not be read.", "Find out who writes to this queue."),
    "unknown_actor": _dead("No actor of this name exists in this version.",
                           "Deploy it, then replay."),
})  # fmt: skip


def end_with(reason: str, cause: CallFailed | None = None, detail: str = "") -> Rejected | Buried:
    """The error that ends a refund for this reason, as the table says; to be raised."""
    kind = Rejected if REASONS[reason].ends == "rejected" else Buried
    return kind(reason, cause, detail)


_SHOWN = {"rejected": "rejected", "dead": "dead letter", "suspended": "the store waits"}


def reasons_table() -> str:
    """The table as Markdown, for the README."""
    rows = [
        "| reason | ends | retryable? | meaning | what a person can do |",
        "|---|---|---|---|---|",
    ]
    rows += [
        f"| `{code}` | {_SHOWN[r.ends]} | {'replay' if r.replayable else 'no'} |"
        f" {r.meaning} | {r.remedy} |"
        for code, r in REASONS.items()
    ]
    return "\n".join(rows) + "\n"


def what_wix_said(error: CallFailed) -> dict[str, Any]:
    """Wix's status, code and request id, as far as the answer had them."""
    said = {
        "http_status": error.status,
        "wix_code": error.code,
        "wix_request_id": error.request_id,
    }
    return {name: value for name, value in said.items() if value is not None}


def reason_of(ending: Rejected | Buried) -> dict[str, Any]:
    """What the record and upstream say of an ending: code, sentence, remedy, what Wix said."""
    known = REASONS[ending.reason]
    detail = ending.detail or (str(ending.cause) if ending.cause else "")
    return {
        "reason": ending.reason,
        "sentence": known.meaning,
        "remedy": ending.remedy or known.remedy,
        **({"detail": redact_text(detail)} if detail else {}),
        **(what_wix_said(ending.cause) if ending.cause else {}),
    }
