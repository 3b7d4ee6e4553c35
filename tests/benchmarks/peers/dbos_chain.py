"""A durable workflow of DBOS with one step for each of ours, on its default database, SQLite."""

from __future__ import annotations

import os
import sqlite3
import sys
import threading
import time

from dbos import DBOS, DBOSClient, DBOSConfig

from tests.benchmarks.peers import calls

DATABASE = os.environ.get("BENCH_DBOS_URL", "sqlite:///dbos.sqlite")
config: DBOSConfig = {"name": "bench", "system_database_url": DATABASE, "run_admin_server": False}


@DBOS.step()
def make_calls(step: str, order_id: str) -> None:
    """Make the calls of a step, whose completion is recorded."""
    calls.make_calls(step, order_id)


@DBOS.workflow()
def refund(order_id: str) -> None:
    """Refund one order."""
    for step, made in calls.STEPS.items():
        if made:
            make_calls(step, order_id)


def work() -> None:
    """Run workflows of the queue until the program is stopped."""
    DBOS(config=config)
    DBOS.launch()
    DBOS.register_queue("refunds", worker_concurrency=int(os.environ.get("BENCH_THREADS", "8")))
    threading.Event().wait()


def _has_tables() -> bool:
    with sqlite3.connect(DATABASE.removeprefix("sqlite:///")) as database:
        found = database.execute("SELECT 1 FROM sqlite_master WHERE name = 'workflow_status'")
        return found.fetchone() is not None


def send(orders: list[str]) -> None:
    """Send the jobs, once the worker has made the tables."""
    while not _has_tables():
        time.sleep(0.1)
    client = DBOSClient(system_database_url=DATABASE)
    for each in orders:
        client.enqueue({"queue_name": "refunds", "workflow_name": "refund"}, each)
    client.destroy()


if __name__ == "__main__":
    if len(sys.argv) > 1:
        send(calls.order_ids(sys.argv[1:]))
    else:
        work()
