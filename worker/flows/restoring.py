"""Wix refused the cancel for good after we unfulfilled the order: make it fulfilled again.

New fulfillments get new ids; they are known by their lines and tracking number.
W44.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from statemachine.flows import State
from worker.errors import Buried, Permanent
from worker.flows.step import Advance, Step, Wait
from worker.observability.redaction import MASK
from worker.wix.models import Fulfillment

#: What Wix gives a fulfillment itself. Everything else is sent back as it was.
_GIVEN_BY_WIX = ("id", "createdDate")


def restore_fulfillments(step: Step) -> Advance | Wait:
    """Create again what is missing; always ends with a person, who is told what was done.

    Raises:
        Buried: with the reason for which Wix refused the cancel.
    """
    saved = [Fulfillment.model_validate(f) for f in step.refund.facts.get("fulfillments", [])]
    missing = _missing(saved, step.wix.list_fulfillments(step.order_id).fulfillments)
    if missing and step.unsure_for_ms:
        return Wait(why="an earlier fulfillment may still show", in_ms=step.unsure_for_ms)
    refused = [error for fulfillment in missing if (error := _create(step, fulfillment))]
    restored = len(saved) - len(refused)
    detail = f"{restored} of {len(saved)} removed fulfillments are there again"
    if masked := sorted({name for f in missing for name in _masked(f.whole())}):
        detail += f", but without what we do not keep: {', '.join(masked)}"
    if refused:
        detail += f"; Wix refused the others: {refused[0].code or refused[0].status}"
    # A replay begins at the fulfilled order, and saves anew what it will remove.
    step.notes.update(restored=[f.whole() for f in saved], fulfillments=[], deleted=[], vanished=[])
    refusal = step.refund.facts["refusal"]
    cause = Permanent(
        refusal["endpoint"],
        status=refusal["status"],
        code=refusal["code"],
        request_id=refusal["request_id"],
    )
    raise Buried(refusal["reason"], cause, detail, resume=State.FULFILLED)


def _missing(saved: Iterable[Fulfillment], listed: Iterable[Fulfillment]) -> list[Fulfillment]:
    """What was saved and is not listed, counting those that look the same."""
    listed = list(listed)
    ids = {fulfillment.id for fulfillment in listed}
    there = Counter(fulfillment.likeness for fulfillment in listed)
    missing = []
    for fulfillment in saved:
        # As it was made again: without what was masked.
        likeness = Fulfillment.model_validate(_unmasked(fulfillment.whole())).likeness
        if fulfillment.id in ids:
            continue
        if there[likeness]:
            there[likeness] -= 1
        else:
            missing.append(fulfillment)
    return missing


def _create(step: Step, fulfillment: Fulfillment) -> Permanent | None:
    """Create one; a refusal is told to the person, it does not keep the others away."""
    whole: dict[str, Any] = _unmasked(fulfillment.whole())
    wanted = {name: value for name, value in whole.items() if name not in _GIVEN_BY_WIX}
    try:
        step.wix.create_fulfillment(step.order_id, wanted)
    except Permanent as error:
        return error
    return None


def _unmasked(value: Any) -> Any:
    """Without the texts that hold a mask: a half-right tracking link is worse than none."""
    if isinstance(value, dict):
        return {name: _unmasked(inner) for name, inner in value.items() if not _is_masked(inner)}
    if isinstance(value, list):
        return [_unmasked(inner) for inner in value if not _is_masked(inner)]
    return value


def _masked(value: Any, name: str = "") -> Iterator[str]:
    """The names of the texts that hold a mask."""
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
