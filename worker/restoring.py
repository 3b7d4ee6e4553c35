"""Wix refused the cancel for good after we unfulfilled the order: make it fulfilled again.

New fulfillments get new ids; they are known by their lines and tracking number.
Source: wix-api.md 6.2 [I], row 9 [D].
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from statemachine.flows import State
from worker.errors import Buried, Permanent
from worker.step import Advance, Step, Wait
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
    if refused:
        detail += f"; Wix refused the others: {refused[0].code or refused[0].status}"
    # A replay begins at the fulfilled order, and saves anew what it will remove.
    step.notes.update(restored=[f.whole() for f in saved], fulfillments=[], deleted=[])
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
    there = Counter(fulfillment.likeness for fulfillment in listed)
    missing = []
    for fulfillment in saved:
        if there[fulfillment.likeness]:
            there[fulfillment.likeness] -= 1
        else:
            missing.append(fulfillment)
    return missing


def _create(step: Step, fulfillment: Fulfillment) -> Permanent | None:
    """Create one; a refusal is told to the person, it does not keep the others away."""
    whole: dict[str, Any] = fulfillment.whole()
    wanted = {name: value for name, value in whole.items() if name not in _GIVEN_BY_WIX}
    try:
        step.wix.create_fulfillment(step.order_id, wanted)
    except Permanent as error:
        return error
    return None
