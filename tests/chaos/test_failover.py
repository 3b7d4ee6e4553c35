"""Short runs of `make failover`."""

from __future__ import annotations

from tests.chaos.failover import by_sentinel, split_brain
from tests.support.servers import redis_program

WRONG = ("lost", "doubled", "stuck", "dead", "rejected", "wrong_events", "disagreeing")


def test_a_failover_by_sentinel_loses_and_doubles_nothing() -> None:
    """What the new primary never got is known to be missing, and upstream sends it again."""
    redis_program()
    result = by_sentinel(48, 1)
    assert [result[name] for name in WRONG] == [0] * len(WRONG)
    assert result["forgotten_jobs_sent_again"] > 0


def test_an_old_primary_doubles_nothing_when_replicas_are_asked() -> None:
    """It makes no call, because the replica that was promoted does not confirm its intents."""
    redis_program()
    result = split_brain(48, 1)
    assert [result[name] for name in WRONG] == [0] * len(WRONG)
