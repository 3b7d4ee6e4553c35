"""One delivery of a message to a worker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from worker.queue.handover import Chain


class Delivery(NamedTuple):
    """A message that a worker holds; the script that commits its step acknowledges it."""

    worker_id: str
    queue: str = ""
    message_id: str = ""
    execution: str = ""
    """Distinguishes two runs of the same message."""
    due_at_ms: int = 0
    """Before when the producer does not want a job to start, unix ms; 0 for at once."""
    problems: Mapping[str, str] = MappingProxyType({})
    """What is wrong with the message of a job, by its part."""

    chain: Chain | None = None
    """Gets what the thread goes on with; None if it fetches every message."""
    claimed: Sequence[Any] = ()
    """The answer to the claim that the commit of the step before made: there is no message."""

    @property
    def token(self) -> str:
        """Identifies the claimant: a repeated claim of the same run is the same claim."""
        return f"{self.worker_id}|{self.message_id}|{self.execution}"

    def fields(self) -> dict[str, str | bool]:
        """Return the arguments of the scripts."""
        fields: dict[str, str | bool] = {
            "worker_id": self.worker_id,
            "queue": self.queue,
            "execution": self.execution,
            "is_handed": bool(self.claimed),
        }
        return fields | ({"message_id": self.message_id} if self.message_id else {})
