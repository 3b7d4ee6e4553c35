"""Who may send jobs: signatures, stores and limits of `REFUNDS_PRODUCER_KEYS`."""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from config.fields import ProducerEntry
from worker.refund.request import RefundRequest
from worker.upstream.signing import Signer, signature_of, text_to_sign

#: By how much a producer's clock may be ahead of the server's.
AHEAD_S = 300
_NONCE = re.compile(r"[A-Za-z0-9_-]{16,64}")


class Refusal(NamedTuple):
    """Why a job is not taken."""

    reason: str
    detail: str


class Signed(NamedTuple):
    """A signature that is right."""

    producer: str
    nonce: str


class Producers:
    """Checks jobs against the keys, stores and limits of their producers."""

    def __init__(self, entries: Mapping[str, ProducerEntry], max_age_s: int) -> None:
        self._entries = entries
        self._max_age_s = max_age_s

    @property
    def must_sign(self) -> bool:
        """Whether each job needs a signature."""
        return bool(self._entries)

    def check_signature(
        self, job: Mapping[str, Any], options: object, now_ms: int
    ) -> Signed | Refusal:
        """Return who signed a job as it is in its message; *options* are those of the message."""
        given = options.get("signature") if isinstance(options, dict) else None
        if not isinstance(given, dict):
            return _bad("the job is not signed")
        producer, nonce, at_s = (given.get(name) for name in ("producer", "nonce", "timestamp"))
        entry = self._entries.get(producer) if isinstance(producer, str) else None
        if entry is None or not isinstance(producer, str):
            return _bad("the producer is not known")
        if not isinstance(nonce, str) or not _NONCE.fullmatch(nonce) or type(at_s) is not int:
            return _bad("its nonce or timestamp is malformed")
        try:
            text = text_to_sign(producer, at_s, nonce, job)
        except (TypeError, ValueError, RecursionError):
            return _bad("the job has no canonical form")
        if not _is_right(str(given.get("signature")), text, entry):
            return _bad("the signature is wrong")
        if not now_ms - 1000 * self._max_age_s <= at_s * 1000 <= now_ms + 1000 * AHEAD_S:
            return _bad("the signature is too old, or from the future")
        return Signed(producer, nonce)

    def check_job(self, producer: str, request: RefundRequest) -> Refusal | None:
        """Return why this producer may not ask for this; None if it may."""
        entry = self._entries[producer]
        if not entry.allows(request.store_id):
            return Refusal("store_not_allowed", f"{producer} may not refund orders of this store")
        return over_limit(producer, entry.limit, request)

    def check_unsigned(self, producer: str, request: RefundRequest) -> Refusal | None:
        """Do the same for one that is known by a token; None if there is no entry of its name."""
        return self.check_job(producer, request) if producer in self._entries else None

    def signer(self, store_id: str) -> Signer | None:
        """Return what signs jobs of a store here: the first producer that may, None if none may."""
        for name, entry in self._entries.items():
            if entry.allows(store_id):
                return Signer(name, entry.keys[0].get_secret_value())
        return None


def over_limit(producer: str, limit: Mapping[str, str], request: RefundRequest) -> Refusal | None:
    """Return why a job asks for more than its producer may; None if it does not."""
    if not limit:
        return None
    amount, currency = request.named_total, request.currency
    if amount is None or currency is None:
        return _over(f"{producer} has a limit, so its jobs need an amount for each part")
    if currency not in limit:
        return _over(f"{producer} has no limit in {currency}")
    if amount > Decimal(limit[currency]):
        return _over(f"{producer} may refund at most {limit[currency]} {currency}")
    return None


def _is_right(given: str, text: str, entry: ProducerEntry) -> bool:
    """Compare with the signature by each key, in a time that tells nothing about them."""
    claimed = given.encode("utf-8", "surrogatepass")
    found = [
        hmac.compare_digest(claimed, signature_of(key.get_secret_value(), text).encode())
        for key in entry.keys
    ]
    return any(found)


def _bad(detail: str) -> Refusal:
    return Refusal("bad_signature", detail)


def _over(detail: str) -> Refusal:
    return Refusal("producer_limit", detail)
