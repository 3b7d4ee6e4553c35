"""A worker that is new to the ledger waits until the replicas know it."""

from __future__ import annotations

from worker.ledger.vouching import Vouching
from worker.queue.own_calls import OwnCalls


class _Replicas:
    """Replicas that never have all that a server has written."""

    def __init__(self) -> None:
        self.offset = 0
        self.asked_for: list[int] = []

    def written(self) -> int:
        """Return how much the server has written: more each time."""
        self.offset += 10
        return self.offset

    def missing(self, written: int, within_ms: int) -> int:
        """Note for how much they are asked."""
        assert within_ms
        self.asked_for.append(written)
        return 1


def test_what_replicas_must_have_is_counted_anew_on_another_server() -> None:
    """The offset of the one before says nothing there; on the same one, what came later may lag."""
    eras = iter(["a|", "a|", "a|", "a|", "b|7-1.2", "b|7-1.2"])
    replicas, calls = _Replicas(), OwnCalls()
    vouching = Vouching(
        lambda _script, **_given: (next(eras), ""),
        calls,
        worker_id="w",
        settle_delay_ms=1_000,
        replicas=replicas,  # type: ignore[arg-type]  # only these two are asked
    )
    for _ in range(3):
        vouching.turn()
    assert calls.era is None
    assert replicas.asked_for == [10, 10, 20]
