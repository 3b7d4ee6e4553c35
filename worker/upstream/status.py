"""What is known of a refund, from the queue or from its record."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from .wire import place_of, queue_keys

if TYPE_CHECKING:
    import redis

#: The states that never change any more.
FINAL = frozenset(
    {"cancelled", "voided", "refunded", "rejected", "resolved", "discarded", "called_off"}
)
#: The state of a refund that waits for a person.
DEAD = "dead"
_FIELDS = ("state", "reason", "accepted_at_ms", "updated_at_ms", "t")
#: The state of a refund that the ledger has forgotten, by the first letter of what is left of it.
FORGOTTEN = {
    "c": "cancelled",
    "r": "refunded",
    "v": "voided",
    "j": "rejected",
    "s": "resolved",
    "d": "discarded",
    "o": "called_off",
}


class Status(NamedTuple):
    """What is known of a refund at one moment."""

    refund_id: str
    state: str
    """`unknown`, `queued`, or one of the worker's states, such as `refunded`."""
    reason: str | None
    """The reason code of a refund that was rejected, needs a person, or is tried again."""
    accepted_at_ms: int | None
    """When a worker took the job, unix ms."""
    updated_at_ms: int | None
    """When its record last changed, unix ms."""

    @property
    def is_final(self) -> bool:
        """Whether the state never changes any more."""
        return self.state in FINAL

    @property
    def needs_person(self) -> bool:
        """Whether nothing happens until a person decides."""
        return self.state == DEAD


def read_status(client: redis.Redis, namespace: str, refund_id: str) -> Status:
    """Ask Redis about a refund."""
    with client.pipeline(transaction=True) as pipe:
        pipe.hmget(f"{{{namespace}}}:refund:{refund_id}", *_FIELDS)
        pipe.hexists(queue_keys(namespace)[1], place_of(refund_id))
        fields, is_queued = pipe.execute()
    state, reason, accepted, updated, left = fields
    state = state or FORGOTTEN.get((left or "")[:1])
    return Status(
        refund_id,
        state or ("queued" if is_queued else "unknown"),
        _reason(reason),
        _number(accepted),
        _number(updated),
    )


def pauses_s() -> Iterator[float]:
    """Yield how long to wait between two looks: ever longer, at most a second."""
    pause_s = 0.05
    while True:
        yield pause_s
        pause_s = min(1.0, pause_s * 1.5)


def too_late(found: Status, timeout_s: float) -> TimeoutError:
    """Return the error of a wait that took too long."""
    return TimeoutError(f"{found.refund_id} is {found.state} after {timeout_s} s")


def _reason(text: str | None) -> str | None:
    found: Any = json.loads(text or "{}")
    return found.get("reason") if isinstance(found, dict) else None


def _number(text: str | None) -> int | None:
    return int(float(text)) if text else None
