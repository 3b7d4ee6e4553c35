"""The codes with which a payment provider refuses a refund: what they mean, what to do. W68."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple


class ProviderCode(NamedTuple):
    """One code of `paymentGatewayReasonCode`."""

    meaning: str
    remedy: str
    """What a person can do about it."""


_LATER = "Send a new refund later."
_OUTSIDE = "Pay the buyer outside Wix, then record the refund in the Wix dashboard."

PROVIDER_CODES: Mapping[str, ProviderCode] = MappingProxyType({
    "1013": ProviderCode("a technical error at the payment provider", _LATER),
    "3018": ProviderCode("the payment provider got too many requests", _LATER),
    "3022": ProviderCode("the payment provider does not allow refunds of this payment", _OUTSIDE),
    "3023": ProviderCode(
        "the payment is already refunded at the payment provider",
        "Look up the payment at its provider, then record the refund in the Wix dashboard."),
    "3024": ProviderCode(
        "the payment provider refunds this payment only in full",
        "Send a new refund of the full payment, or pay the part outside Wix."),
    "3025": ProviderCode(
        "the merchant's balance at the payment provider is too low",
        "Ask the merchant to top up the balance at the payment provider, then send a new refund."),
    "3032": ProviderCode(
        "this refund was tried too many times",
        "Ask the payment provider when it can be tried again, then send a new refund."),
    "3033": ProviderCode(
        "the time limit of the payment provider for refunds has passed", _OUTSIDE),
    "6000": ProviderCode(
        "a cause that the payment provider has no code for",
        "Look up the payment at its provider, which shows the cause."),
})  # fmt: skip


def in_words(codes: Iterable[str]) -> str:
    """Return the codes with their meanings; a code that is not in the table stands alone."""
    return "; ".join(
        f"{code}: {PROVIDER_CODES[code].meaning}" if code in PROVIDER_CODES else code
        for code in codes
    )


def remedy_for(codes: Iterable[str]) -> str:
    """Return what a person can do about these codes; "" if one of them is not in the table."""
    known = [PROVIDER_CODES.get(code) for code in codes]
    remedies = dict.fromkeys(code.remedy for code in known if code)
    return " ".join(remedies) if all(known) else ""


def provider_codes_table() -> str:
    """Return the table as Markdown, for worker/refund/README.md."""
    rows = ["| code | meaning | remedy |", "|---|---|---|"]
    rows += [
        f"| {code} | {each.meaning} | {each.remedy} |" for code, each in PROVIDER_CODES.items()
    ]
    return "\n".join(rows) + "\n"
