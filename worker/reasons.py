"""Every reason for which a refund does not simply end well: a table for code and people."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple


class Reason(NamedTuple):
    """What a reason code means and what a person can do about it."""

    meaning: str
    remedy: str


#: Rejected: an answer for upstream. Dead: a person decides. Which of the two is said by the step.
REASONS: Mapping[str, Reason] = MappingProxyType(
    {
        "order_not_found": Reason(
            "Wix knows no such order in this store.",
            "Check order and store; send a new refund with the right ids.",
        ),
        "order_pending": Reason(
            "The order still waits for its payment; there is nothing to refund.",
            "Wait until the order is approved, then send a new refund.",
        ),
        "order_rejected": Reason(
            "The order's payment failed at Wix; nothing was paid.", "Nothing to do."
        ),
        "order_authorized": Reason(
            "The order's payment is authorized but not captured; Wix does not cancel it so.",
            "Void or capture the payment in the Wix dashboard, then replay.",
        ),
        "partial_needs_standard_refund": Reason(
            "The order was placed before the cutoff: it can only be cancelled as a whole.",
            "Send a full refund, or pay the part outside of Wix.",
        ),
        "partial_not_supported": Reason(
            "Partial refunds are not done by this version.",
            "Refund the part in the Wix dashboard.",
        ),
        "currency_mismatch": Reason(
            "The job names another currency than the order's.",
            "Send a new refund with the order's currency, or none.",
        ),
        "already_refunded": Reason(
            "The order's payments are refunded already, not by us.", "Nothing to do."
        ),
        "not_refundable": Reason(
            "Wix says that the payment cannot be refunded.", "See Wix's code for the cause."
        ),
        "manual_payment": Reason(
            "Wix cannot move this money itself (paid outside of Wix, or expired).",
            "Pay the buyer by the provider's own means; record it in the Wix dashboard.",
        ),
        "refund_failed": Reason(
            "The payment provider refused the refund; no money moved.",
            "See the provider's code; send a new refund once its cause is gone.",
        ),
        "refund_mixed": Reason(
            "The provider paid a part of the refund and refused the rest.",
            "Compare both amounts in the Wix dashboard and pay the rest by hand.",
        ),
        "refund_vanished": Reason(
            "Wix took our refund but does not show it any more.",
            "Look for it in the Wix dashboard before anything else.",
        ),
        "refund_not_settled": Reason(
            "The provider did not settle the refund in the time we wait.",
            "Ask the payment provider, then replay.",
        ),
        "cannot_unfulfill": Reason(
            "The order stays fulfilled although no fulfillment is left.",
            "Mark it as unfulfilled in the Wix dashboard, then replay.",
        ),
        "order_keeps_changing": Reason(
            "The order was fulfilled again between our steps, several times.",
            "Agree with the merchant, then replay.",
        ),
        "outcome_unknown": Reason(
            "A call may have moved money and Wix does not show whether it did.",
            "Look at the order in the Wix dashboard; replay only if it was not refunded.",
        ),
        "refused_by_wix": Reason(
            "Wix refused the call for a cause we have no rule for.",
            "See Wix's code and request id; replay once the cause is gone.",
        ),
        "attempts_used_up": Reason(
            "It failed again and again until the time for retries was over.",
            "See the last failure; replay once its cause is gone.",
        ),
        "store_unknown": Reason(
            "No credentials are known for this store.",
            "Connect it (`refunds stores connect`) or add it to REFUNDS_STORES, then replay.",
        ),
        "store_disconnected": Reason(
            "The store was disconnected while the refund was not finished.",
            "Connect it again (`refunds stores connect`), then replay.",
        ),
        "key_refused": Reason(
            "Wix does not accept the store's API key any more; its refunds wait, nothing is lost.",
            "Ask the merchant for a new key and connect it (`refunds stores connect`),"
            " or wait: Wix is asked again.",
        ),
        "key_sealed_shut": Reason(
            "The store's sealed key does not open with this worker's REFUNDS_VAULT_KEYS.",
            "Give the worker the vault key that sealed it, or connect the store again.",
        ),
        "scope_missing": Reason(
            "The store's API key may not do this: a box is not ticked in the Wix dashboard.",
            "Tick the box for this key under Account Settings → API Keys, then replay.",
        ),
        "worker_error": Reason(
            "The worker itself failed; this is a bug.", "Tell the maintainers, then replay."
        ),
        "invalid_job": Reason(
            "The job has a wrong field, so it never became a refund.",
            "Send it again with the named field corrected.",
        ),
        "conflict": Reason(
            "Another job with the same refund_id and other content was accepted before.",
            "Send it again with a refund_id of its own if both are meant.",
        ),
        "undecodable": Reason(
            "The message could not be read.", "Find out who writes to this queue."
        ),
        "unknown_actor": Reason(
            "No actor of this name exists in this version.", "Deploy it, then replay."
        ),
    }
)


def reasons_table() -> str:
    """The table as Markdown, for the README."""
    rows = ["| reason | meaning | what a person can do |", "|---|---|---|"]
    rows += [f"| `{code}` | {r.meaning} | {r.remedy} |" for code, r in REASONS.items()]
    return "\n".join(rows) + "\n"
