"""A plain chain of dramatiq actors: no intent, no lease, no history, no outcome."""

from __future__ import annotations

import sys

import dramatiq
from dramatiq.brokers.redis import RedisBroker

from tests.benchmarks.peers import calls

broker = RedisBroker(url=calls.REDIS_URL, namespace="plain")  # type: ignore[no-untyped-call]  # dramatiq's
dramatiq.set_broker(broker)


@dramatiq.actor
def request(order_id: str) -> None:
    """Take the job."""
    assess.send(order_id)


@dramatiq.actor
def assess(order_id: str) -> None:
    """Read the order."""
    calls.make_calls("assess", order_id)
    submit.send(order_id)


@dramatiq.actor
def submit(order_id: str) -> None:
    """Refund it."""
    calls.make_calls("submit", order_id)
    if calls.STEPS["confirm"]:
        confirm.send(order_id)


@dramatiq.actor
def confirm(order_id: str) -> None:
    """Check that it is refunded."""
    calls.make_calls("confirm", order_id)


if __name__ == "__main__":
    for each in calls.order_ids(sys.argv[1:]):
        request.send(each)
