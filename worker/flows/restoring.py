"""Wix refused the cancel for good after we unfulfilled the order: recreate the fulfillments.

They get new ids, so we recognise them by their lines and tracking number (W44).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from statemachine.flows import State
from worker.errors import Buried, Permanent
from worker.flows.step import Advance, Step, Wait
from worker.observability.redaction import MASK
from worker.refund.facts import Facts
from worker.wix.models import Fulfillment

#: Fields that Wix sets. All others are sent back unchanged.
_GIVEN_BY_WIX = ("id", "createdDate")

#: What a person can do if Wix refuses to recreate a fulfillment.
MARK_FULFILLED = (
    "Open the order in the Wix dashboard, choose More Actions > Mark as Fulfilled, and add the"
    " tracking numbers. Or fix the cause for which Wix refused to cancel it, then replay."
)


def restore_fulfillments(step: Step) -> Advance | Wait:
    """Recreate what is missing. This always ends in a dead letter that says what was done.

    Raises:
        Buried: always, with the reason for which Wix refused the cancel.
    """
    saved = [Fulfillment.model_validate(f) for f in step.refund.facts.fulfillments]
    missing = _missing(saved, step.wix.list_fulfillments(step.order_id).fulfillments)
    if missing and (
        unsure := step.unsure_wait("a fulfillment that we recreated earlier may still appear")
    ):
        return unsure
    refused = [
        (fulfillment, error) for fulfillment in missing if (error := _create(step, fulfillment))
    ]
    detail = f"{len(saved) - len(refused)} of {len(saved)} removed fulfillments are restored"
    if masked := sorted({name for f in missing for name in _masked(f.whole())}):
        detail += f", but without fields that we do not keep: {', '.join(masked)}"
    if refused:
        detail += _left_unfulfilled(refused, whole=len(refused) == len(saved))
    # A replay starts with the fulfilled order, and saves again what it removes.
    lost = {fulfillment.id for fulfillment, _ in refused}
    restored = tuple(fulfillment.whole() for fulfillment in saved if fulfillment.id not in lost)
    step.learn(Facts(restored=restored, fulfillments=(), deleted=(), vanished=()))
    raise _refused_cancel(step, detail, MARK_FULFILLED if refused else "")


def _left_unfulfilled(refused: Sequence[tuple[Fulfillment, Permanent]], *, whole: bool) -> str:
    """Say in which state the order is, and which fulfillments are missing and why."""
    parts = ", ".join(
        f"{_unmasked(fulfillment.whole()).get('trackingInfo', {}).get('trackingNumber') or 'none'}"
        f" ({error.code or error.status})"
        for fulfillment, error in refused
    )
    state = "unfulfilled" if whole else "partly unfulfilled"
    return f"; the order is left {state}; Wix refused those with the tracking numbers: {parts}"


def _refused_cancel(step: Step, detail: str, remedy: str) -> Buried:
    refusal = step.refund.facts.refusal
    if refusal is None:
        raise AssertionError("only a refused cancel leads to restoring")
    cause = Permanent(
        refusal.endpoint,
        status=refusal.status,
        code=refusal.code,
        request_id=refusal.request_id,
    )
    return Buried(refusal.reason, cause, detail, remedy=remedy, resume=State.FULFILLED)


def _missing(saved: Iterable[Fulfillment], listed: Iterable[Fulfillment]) -> list[Fulfillment]:
    """Return what was saved and is not listed; of several that look the same, each counts once."""
    listed = list(listed)
    ids = {fulfillment.id for fulfillment in listed}
    there = Counter(fulfillment.fingerprint for fulfillment in listed)
    missing = []
    for fulfillment in saved:
        # As it was recreated: without what was masked.
        fingerprint = Fulfillment.model_validate(_unmasked(fulfillment.whole())).fingerprint
        if fulfillment.id in ids:
            continue
        if there[fingerprint]:
            there[fingerprint] -= 1
        else:
            missing.append(fulfillment)
    return missing


def _create(step: Step, fulfillment: Fulfillment) -> Permanent | None:
    """Create one; return Wix's refusal, which must not stop the others."""
    whole: dict[str, Any] = _unmasked(fulfillment.whole())
    wanted = {name: value for name, value in whole.items() if name not in _GIVEN_BY_WIX}
    try:
        step.wix.create_fulfillment(step.order_id, wanted)
    except Permanent as error:
        return error
    return None


def _unmasked(value: Any) -> Any:
    """Leave out texts that contain a mask: a broken tracking link is worse than none."""
    if isinstance(value, dict):
        return {name: _unmasked(inner) for name, inner in value.items() if not _is_masked(inner)}
    if isinstance(value, list):
        return [_unmasked(inner) for inner in value if not _is_masked(inner)]
    return value


def _masked(value: Any, name: str = "") -> Iterator[str]:
    """Yield the names of the fields whose text contains a mask."""
    if isinstance(value, dict):
        for inner_name, inner in value.items():
            yield from _masked(inner, inner_name)
    elif isinstance(value, list):
        for inner in value:
            yield from _masked(inner, name)
    elif _is_masked(value):
        yield name


def _is_masked(value: Any) -> bool:
    return isinstance(value, str) and MASK in value
