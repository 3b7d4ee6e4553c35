"""One delivery of a message to a worker."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Delivery:
    """The message that brought a worker here: acknowledged by the script that settles it."""

    worker_id: str
    queue: str = ""
    message_id: str = ""
    execution: str = ""
    """Tells two runs of the same message apart."""

    @property
    def token(self) -> str:
        """Who asks: a repeated question of the same run is the same claim."""
        return f"{self.worker_id}|{self.message_id}|{self.execution}"

    def fields(self) -> dict[str, str]:
        """Arguments of the scripts."""
        fields = {"worker_id": self.worker_id, "queue": self.queue}
        return fields | ({"message_id": self.message_id} if self.message_id else {})
