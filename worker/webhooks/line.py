"""What waits to be delivered to one webhook: of each refund, the oldest event goes first."""

from __future__ import annotations

from collections.abc import Mapping

from worker.ledger.webhooks import Delivery

#: How many deliveries may wait. When so many do, no new event is looked at until one is gone.
MOST_WAITING = 1_000


def place_of(position: str) -> tuple[int, int]:
    """Return a position of the stream as numbers, which can be compared."""
    first, _, second = position.partition("-")
    return int(first), int(second or 0)


class Line:
    """The deliveries that wait, in the memory of the worker that makes them."""

    def __init__(self, waiting: Mapping[str, Delivery]) -> None:
        self._of: dict[str, dict[str, Delivery]] = {}
        for position in sorted(waiting, key=place_of):
            self.put(position, waiting[position])

    def __len__(self) -> int:
        return sum(map(len, self._of.values()))

    @property
    def is_full(self) -> bool:
        """Whether nothing more may wait."""
        return len(self) >= MOST_WAITING

    def has(self, subject: str) -> bool:
        """Whether an event of this refund waits, so that a later one must wait behind it."""
        return subject in self._of

    def put(self, position: str, delivery: Delivery) -> None:
        """Add a delivery, or replace it."""
        self._of.setdefault(delivery.subject, {})[position] = delivery

    def remove(self, position: str, subject: str) -> None:
        """Take a delivery out."""
        of_subject = self._of.get(subject, {})
        of_subject.pop(position, None)
        if not of_subject:
            self._of.pop(subject, None)

    def first_due(self, now_ms: int) -> tuple[str, Delivery] | None:
        """Return the first delivery that is due; what waits behind another one is not."""
        heads = [next(iter(of_subject.items())) for of_subject in self._of.values()]
        due = [head for head in heads if head[1].due_ms <= now_ms]
        return min(due, key=lambda head: (head[1].due_ms, place_of(head[0])), default=None)
