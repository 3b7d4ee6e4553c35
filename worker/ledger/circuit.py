"""When Wix is down for most stores, no refund starts: the circuit is open (`lua/circuit.lua`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

CIRCUIT: Mapping[str, int] = MappingProxyType(
    {
        "WINDOW_MS": 60_000,  # how long the last answer to a store's call counts
        "LEAST": 3,  # stores that must fail; and more must fail than are answered
        "IN_A_ROW": 10,  # calls of one store that must fail until its retries pause
        "REST_AFTER": 3,  # calls of one store that must fail until its retries rest after each
        "REST": 3,  # how many times as long as the call took
        "NARROW": 2,  # refunds of a store in flight after as many, until a call is answered
        "FIRST_MS": 5_000,  # until the first probes, and the first pause of retries; it doubles
        "CAP_MS": 60_000,
        "LATE_MS": 3_600_000,  # after REFUNDS_RETRY_FOR_S; what pauses then makes its last try
        "APART_MS": 25,  # between the retries of a store that pauses, as they come back
        "PROBED": 3,  # stores that are probed at a time, and calls that must fail after each pause
        "SHARE": 16,  # of 256: the stores that start first when the probes succeed; then 64, 256
        "STEP_MS": 5_000,  # until the next step, if most stores are still answered
        "AGAIN_MS": 2_000,  # how soon a store that is held back is tried again
        "SPREAD_MS": 60_000,  # the time in which all retries are made after an outage
        "PIECE": 1_000,  # retries that are spread in one script
    }
)


class Outage(NamedTuple):
    """What a look at the circuit found."""

    event: Literal["", "opened", "closed"]
    failing: int
    """Stores to whose last call Wix did not answer."""
    answering: int
    lasted_ms: int
    """Since it was opened."""
    to_probe: list[str]
    """Stores to ask for."""


class Circuit:
    """The circuit in the ledger."""

    def __init__(self, run: Callable[..., Any]) -> None:
        self._run = run
        """Runs a script of the ledger by its name."""

    def look(self) -> Outage:
        """Open or close it if need be; the worker that leads does it every second."""
        return self._look(probed=False, answered=0, failed=0)

    def probed(self, *, answered: int, failed: int) -> Outage:
        """Record for how many stores Wix answered a probe, and for how many it did not."""
        return self._look(probed=True, answered=answered, failed=failed)

    def _look(self, **arguments: Any) -> Outage:
        event, failing, answering, lasted_ms, *to_probe = self._run("outage", **arguments)
        return Outage(event, int(failing), int(answering), int(lasted_ms), to_probe)
