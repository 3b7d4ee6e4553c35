"""What a mutating call of a step is about, for the money guards: an amount, and the limits for it.

`lua/guards.lua` compares and counts, in the write that lets the call be made.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import ROUND_CEILING, Decimal
from typing import Any

from config.guards import limit_for, parse_surge
from config.settings import Settings
from statemachine.flows import State, Transition
from worker.flows.step import Advance, Step
from worker.refund.facts import Facts
from worker.refund.stakes import UNIT

#: The settings of the windows: name, whose refunds are counted together, and for how long.
WINDOWS = (
    ("guard_store_hour", "store", "hour"),
    ("guard_store_day", "store", "day"),
    ("guard_all_hour", "all", "hour"),
    ("guard_all_day", "all", "day"),
)
#: The settings that limit one refund.
EACH = ("guard_refund", "guard_two_people")
_LIMITS = (*EACH, *(window[0] for window in WINDOWS), "guard_store_surge")
#: An amount that is not known.
NOT_KNOWN = -1


def guard_of(step: Step, transition: Transition) -> dict[str, Any] | None:
    """Return what `lua/guards.lua` needs for the call that is about to be made.

    None if there are no limits, or if the call only undoes what was done.
    """
    settings = step.settings
    if not is_on(settings) or transition is Transition.RESTORE_FULFILLMENTS:
        return None
    amount, currency = _amount(step, transition), step.facts.currency
    limits = {
        name: limit_for(getattr(settings, name), step.refund.request.store_id)
        for name in (*EACH, *(window[0] for window in WINDOWS))
    }
    each = {
        name.removeprefix("guard_"): units_of(limits[name].amounts[currency])
        for name in EACH
        if currency in limits[name].amounts
    }
    surge = parse_surge(settings.guard_store_surge)
    return {
        "units": NOT_KNOWN if amount is None or not currency else units_of(amount),
        "currency": currency,
        "windows": list(_windows(limits, currency)),
        "has_amounts": any(
            currency in limit.amounts or (limit.amounts and not currency)
            for limit in limits.values()
        ),
        "is_repeat": step.effect_in_doubt,
        "is_begun": _is_begun(step, transition),
        **each,
        **({"surge": {"times": float(surge.times), "above": surge.above}} if surge else {}),
    }


def counts_of(step: Step | None, result: Advance, facts: Facts) -> dict[str, Any] | None:
    """Return what `lua/guards.lua` counts of a refund that an earlier call has made.

    A cancellation that seems to be the merchant's was ours if Redis forgot all of ours.
    """
    in_doubt = result.by_merchant and result.to is State.CANCELLED
    if step is None or not (result.found or in_doubt) or not is_on(step.settings):
        return None
    amount = facts.refund_amount or facts.left_to_refund
    units = units_of(Decimal(amount)) if amount else NOT_KNOWN
    return {"units": units, "currency": facts.currency, "in_doubt": in_doubt}


def is_on(settings: Settings) -> bool:
    """Whether there is any limit."""
    return any(getattr(settings, name) is not None for name in _LIMITS)


def _is_begun(step: Step, transition: Transition) -> bool:
    """Whether the order is changed already: what was begun is finished."""
    if transition is Transition.SUBMIT_REFUND:
        return False
    facts = step.facts
    return bool(facts.deleted or facts.vanished or facts.void_ids or facts.has_refunded)


def _amount(step: Step, transition: Transition) -> Decimal | None:
    """Return what the buyer gets back; None if it is not known.

    A cancelled order is paid back by whoever took the payment, so it counts with what it had taken.
    """
    if transition is Transition.SUBMIT_REFUND:
        return step.moves
    known = step.facts.left_to_refund
    return max(Decimal(known), Decimal(0)) if known else None


def units_of(amount: Decimal) -> int:
    """Return an amount as the ledger counts it, rounded up."""
    return int((amount / UNIT).to_integral_value(ROUND_CEILING))


def _windows(limits: Mapping[str, Any], currency: str) -> Iterator[dict[str, Any]]:
    for name, scope, window in WINDOWS:
        limit = limits[name]
        given: dict[str, int] = {}
        if limit.count is not None:
            given["count"] = limit.count
        if currency in limit.amounts:
            given["units"] = units_of(limit.amounts[currency])
        if given:
            yield {"name": name.removeprefix("guard_"), "scope": scope, "window": window, **given}
