"""One delivery of a message to a worker."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Delivery:
    """A message that a worker holds; the script that commits its step acknowledges it."""

    worker_id: str
    queue: str = ""
    message_id: str = ""
    execution: str = ""
    """Distinguishes two runs of the same message."""

    @property
    def token(self) -> str:
        """Identifies the claimant: a repeated claim of the same run is the same claim."""
        return f"{self.worker_id}|{self.message_id}|{self.execution}"

    def fields(self) -> dict[str, str]:
        """Return the arguments of the scripts."""
        fields = {"worker_id": self.worker_id, "queue": self.queue}
        return fields | ({"message_id": self.message_id} if self.message_id else {})
