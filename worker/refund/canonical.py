"""A job as JSON, the same in each version of the worker that can read it, and its digest."""

from __future__ import annotations

import hashlib
import json
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydantic import BaseModel

    from worker.refund.request import RefundRequest

#: The fields of a job in the first version; each of them counts in the digest.
FIRST_FIELDS = frozenset({
    "refund_id", "store_id", "order_id", "lines", "shipping", "additional_fees", "amount",
    "currency", "reason", "restock", "notify_buyer", "manual_payments", "requested_by", "metadata",
})  # fmt: skip

#: The same of a line.
FIRST_LINE_FIELDS = frozenset({"line_item_id", "quantity"})

_SORTED = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode


def canonical_text(request: RefundRequest) -> str:
    """Return a job as JSON; equal jobs give equal text.

    A field that was added later is in it only when it is given: the previous release refuses
    a record with a field that it does not know.
    """
    defaults = _defaults(type(request))
    counted = {n: v for n, v in request.__dict__.items() if n in FIRST_FIELDS or v != defaults[n]}
    counted["additional_fees"] = [fee.model_dump(mode="json") for fee in request.additional_fees]
    counted["lines"] = [
        {n: v for n, v in line.model_dump(mode="json").items() if n in FIRST_LINE_FIELDS or v}
        for line in request.lines
    ]
    return _SORTED(counted)


@lru_cache(maxsize=16)
def _defaults(model: type[BaseModel]) -> dict[str, Any]:
    """Return what stands for each field that is not given."""
    return {name: field.default for name, field in model.model_fields.items()}


def digest_of(text: str) -> str:
    """Return the digest of a job with this canonical text."""
    return hashlib.sha256(text.encode()).hexdigest()
