"""A store whose merchant is observed, and looks at it without waiting."""

from __future__ import annotations

from typing import Any

from tests.support.rig import ANN, STORE_ID, Rig
from worker.operations.acts.observing import observe
from worker.refund.event import Event
from worker.refund.outcomes import TYPES, read

#: The types of what merchants do.
OBSERVED = (TYPES["observed"], TYPES["cancelled_by_merchant"])


def switch_on(rig: Rig) -> None:
    """Observe the merchant from now on; what the simulator does next is later."""
    assert observe(rig.acts, STORE_ID, is_on=True, operator=ANN)


def make_due(rig: Rig) -> None:
    """Let the next look be due."""
    rig.redis.zadd(rig.key("observing"), {STORE_ID: 1}, xx=True)


def look(rig: Rig, times: int = 1) -> None:
    """Look at the changed orders so many times."""
    for _ in range(times):
        make_due(rig)
        rig.observer.turn(lambda: False)


def told(rig: Rig) -> list[dict[str, Any]]:
    """Return what upstream was told about the merchant."""
    events = [event for _, event in read(rig.broker.client, rig.settings.namespace)]
    found = [event for event in events if event["type"] in OBSERVED]
    for event in found:
        Event.model_validate(event)
    return found


def types(rig: Rig) -> list[str]:
    """Return the types of what upstream was told about the merchant."""
    return [event["type"] for event in told(rig)]


def calls(rig: Rig) -> list[str]:
    """Return the calls to Wix since they were last asked for."""
    made = [call["endpoint"] for call in rig.simulator.calls]
    rig.simulator.calls.clear()
    return made


def shift(rig: Rig, name: str, by_ms: int) -> None:
    """Move a time that the ledger keeps for the store."""
    rig.redis.hincrby(rig.key("observer", STORE_ID), name, by_ms)
