"""Recognise a job whose texts an older version masked before it took the job's digest.

The version without a schema in its records masked `metadata` by parts of its names, and other texts
by fewer rules, so the same job has another digest today.
"""

from __future__ import annotations

from worker.observability.redaction import MASK, redact_text
from worker.refund.request import RefundRequest

_TEXTS = {"reason", "requested_by", "metadata"}


def is_masked_form(stored: RefundRequest, request: RefundRequest) -> bool:
    """Whether *stored* is this job, apart from what is masked in its texts."""
    if stored.model_dump(exclude=_TEXTS) != request.model_dump(exclude=_TEXTS):
        return False
    texts = ((stored.reason, request.reason), (stored.requested_by, request.requested_by))
    if any(redact_text(old) != new for old, new in texts):
        return False
    old_items, new_items = list(stored.metadata.items()), list(request.metadata.items())
    return all(any(_is_item(old, new) for new in new_items) for old in old_items) and all(
        any(_is_item(old, new) for old in old_items) for new in new_items
    )


def _is_item(old: tuple[str, str], new: tuple[str, str]) -> bool:
    return _matches(old[0], new[0]) and _matches(old[1], new[1])


def _matches(old: str, new: str) -> bool:
    """Whether *new* is *old* with any text in the place of each mask."""
    first, *others = old.split(MASK)
    if not others:
        return old == new
    if not new.startswith(first):
        return False
    at = len(first)
    for part in others[:-1]:
        found = new.find(part, at)
        if found < 0:
            return False
        at = found + len(part)
    return new.endswith(others[-1]) and len(new) - len(others[-1]) >= at
