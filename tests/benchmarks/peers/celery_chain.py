"""A chain of Celery tasks, without a result backend, since nobody reads the results."""

from __future__ import annotations

import sys

from celery import Celery

from tests.benchmarks.peers import calls

app = Celery("bench", broker=calls.REDIS_URL)
app.conf.update(task_ignore_result=True, broker_connection_retry_on_startup=True)


@app.task(name="request")
def request(order_id: str) -> None:
    """Take the job."""
    assess.delay(order_id)


@app.task(name="assess")
def assess(order_id: str) -> None:
    """Read the order."""
    calls.make_calls("assess", order_id)
    submit.delay(order_id)


@app.task(name="submit")
def submit(order_id: str) -> None:
    """Refund it."""
    calls.make_calls("submit", order_id)
    if calls.STEPS["confirm"]:
        confirm.delay(order_id)


@app.task(name="confirm")
def confirm(order_id: str) -> None:
    """Check that it is refunded."""
    calls.make_calls("confirm", order_id)


if __name__ == "__main__":
    for each in calls.order_ids(sys.argv[1:]):
        request.delay(each)
