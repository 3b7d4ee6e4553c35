"""How many calls a store may make to Wix: its rate, and what a step is expected to make.

The scripts keep it (`lua/rate.lua`), in the same atomic write that claims or commits.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from statemachine.flows import State, Transition, next_transition
from worker.ledger.lua_tables import lua_lookup

#: How far calls may run ahead of the rate; and the last call of a step beyond that.
BURST_MS = 1_000
#: How much two calls may come closer together on their way to Wix, ms.
JITTER_MS = 250
#: Calls of a step beyond its first one, which run ahead of the rate.
MORE_CALLS = 3
#: The rate while Wix throttles a store without a limit: the default setting. W7.
THROTTLED_PER_MIN = 150
#: What happens when Wix throttles a store, see `lua/rate.lua`.
THROTTLED: Mapping[str, float] = MappingProxyType(
    {
        "FIRST_MS": 10_000,  # the first pause, if Wix does not name one; it doubles each time
        "CAP_MS": 300_000,
        "CALM_MS": 60_000,  # after so long without another one, the next pause is a first one
        "LEAST": 1 / 16,  # the least share of the rate
        "RECOVER_MS": 600_000,  # the time in which the share grows from nothing to the whole
    }
)
#: The calls that a step reserves; worker/README.md says what each is for.
EXPECTED_CALLS: Mapping[Transition, int] = MappingProxyType(
    {
        Transition.ASSESS_ORDER: 2,  # the second one if the order is fulfilled, as the first shows
        Transition.UNFULFILL_ORDER: 3,  # and one for each fulfillment after the first
        Transition.CANCEL_ORDER: 4,
        Transition.VOID_PAYMENTS: 2,
        Transition.CONFIRM_VOID: 1,
        Transition.RESTORE_FULFILLMENTS: 2,
        Transition.SUBMIT_REFUND: 3,  # and one or two if the job names parts of the order
        Transition.CONFIRM_REFUND: 1,
    }
)


def per_call_ms(calls_per_min: int) -> float:
    """Return the time between two calls, so that no minute has more calls than the rate.

    Wix counts the calls of a minute, which may begin at any moment: what runs ahead at its end, and
    what is late at its start, are in it, too.
    """
    if not calls_per_min:
        return 0
    return (60_000 + BURST_MS + JITTER_MS) / max(1, calls_per_min - MORE_CALLS)


def constants(calls_per_min: int) -> str:
    """Return the rate, and what steps are expected to need of it, for the scripts."""
    calls = {
        state.value: EXPECTED_CALLS[transition]
        for state in State
        if (transition := next_transition(state))
    }
    return (
        f"local PER_CALL_MS = {per_call_ms(calls_per_min)!r}\nlocal BURST_MS = {BURST_MS}\n"
        f"local MORE_CALLS = {MORE_CALLS}\n{lua_lookup('expected_calls', calls)}"
    )
