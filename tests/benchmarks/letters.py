"""100,000 dead letters, put right by two operators while workers die. `make letters`.

The letters, of twelve causes, are listed, grouped, searched, and asked about at Wix (a dry run).
Then one operator replays all of them, with a canary, a stop and a continue; the workers are killed
twice, and another operator replays one cause at the same time. In the end each refund must have
been made exactly once. Wix is the stub of `make bench`. The last line of the output is JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.benchmarks.contenders import KEY, STORES, Ours, Size
from tests.benchmarks.parts import note
from tests.benchmarks.world import ROOT, Group, World, world
from tests.chaos import figures
from worker.ledger.connection import redis_client
from worker.ledger.lanes import LaneRules
from worker.ledger.refunds import Ledger
from worker.refund.request import parse_request

NAMESPACE = "refunds"
#: Reasons of dead letters that a replay may put right without a flag.
REASONS = (
    *("refused_by_wix", "scope_missing", "attempts_used_up", "order_view_only"),
    *("cannot_unfulfill", "refund_vanished", "provider_down", "store_disconnected"),
    *("refund_pending", "order_forbidden", "worker_error", "store_not_found"),
)
#: What the second operator replays, and what is asked about alone.
SECOND, ASKED = "provider_down", "scope_missing"
CANARY = 10
#: How many are written in one round trip.
PIECE = 2_000
PATIENCE_S = 3_000
LISTS = {
    "list": ("dead", "list"),
    "by reason": ("dead", "list", "--by", "reason"),
    "by store": ("dead", "list", "--by", "store"),
    "of a store": ("dead", "list", "--store", STORES[3]),
    "with a text": ("dead", "list", "--text", "rf-0471"),
    "status": ("status",),
}


@dataclass
class Drill:
    """A world with letters, workers and operators."""

    place: World
    count: int
    group: Group | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    """How long each command took, from its start to its end."""

    def start(self) -> None:
        """Start the workers; if there are some, kill them first."""
        if self.group:
            self.group.end()
        self.group = Ours().start(self.place, Size(calls=4))

    def type(self, name: str, *command: str, by: str = "ann") -> str:
        """Run a command as an operator types it; return what it prints."""
        stores = {store: {"account_id": "a", "api_key": KEY} for store in STORES}
        environ = {
            "REFUNDS_REDIS_URL": self.place.redis_url,
            "REFUNDS_WIX_BASE_URL": self.place.wix_url,
            "REFUNDS_STORES": json.dumps(stores),
            "REFUNDS_STATE_DIR": str(self.place.folder / "state" / "operators"),
            "REFUNDS_STORE_CALLS_PER_MIN": "0",
            "REFUNDS_OPERATOR": by,
        }
        program = [sys.executable, "-c", "from worker.cli.main import main; main()", *command]
        began_s = time.monotonic()
        done = subprocess.run(
            program, env=os.environ | environ, cwd=ROOT, capture_output=True, text=True, check=False
        )
        self.seconds[name] = round(time.monotonic() - began_s, 1)
        # `refunds status` exits with 1 when something needs a person.
        if done.returncode not in {0, 1} or (done.returncode and name != "status"):
            raise RuntimeError(f"{' '.join(command)}: {done.stderr[-1000:]}")
        note(f"{self.seconds[name]:7.1f} s  refunds {' '.join(command)}")
        return done.stdout

    def replay(self, *what: str, by: str) -> str:
        """Start a replay as a bulk act; return the id of the job."""
        options = ("--yes", "--json", "--rate", "1000", "--reason", "the deploy is mended")
        told = self.type(f"freeze by {by}", "dead", "replay", *what, *options, by=by)
        return str(json.loads(told)["job_id"])

    def job(self, job_id: str) -> dict[str, str]:
        """Return what the ledger says of a bulk act."""
        found: dict[str, str] = self.place.redis.hgetall(f"{{{NAMESPACE}}}:job:{job_id}")
        return found

    def wait_until(self, is_so: Callable[[], bool]) -> None:
        """Wait. Raises RuntimeError if it takes too long."""
        until_s, pause = time.monotonic() + PATIENCE_S, threading.Event()
        while not is_so():
            if time.monotonic() > until_s:
                raise RuntimeError("the drill takes too long")
            pause.wait(0.5)


def fill(drill: Drill) -> None:
    """Write the letters as workers leave them, and let them be indexed."""
    client: Any = redis_client(drill.place.redis_url)
    now_ms, ns = int(time.time() * 1000), f"{{{NAMESPACE}}}"
    pipe = client.pipeline(transaction=False)
    for number in range(drill.count):
        refund_id, at_ms = f"rf-{number:06d}", now_ms - number
        pipe.hset(f"{ns}:refund:{refund_id}", mapping=_letter(number, at_ms))
        for listed in ("accepted", "state:dead", "dead"):
            pipe.zadd(f"{ns}:{listed}", {refund_id: at_ms})
        if number % PIECE == PIECE - 1:
            pipe.execute()
    pipe.execute()
    ledger = Ledger(client, namespace=NAMESPACE, lanes=LaneRules(4), worker_dead_after_ms=10_000)
    for first in range(0, drill.count, PIECE):
        ledger.relist([f"rf-{number:06d}" for number in range(first, first + PIECE)])
    client.close()


def _letter(number: int, at_ms: int) -> dict[str, Any]:
    store, order = STORES[number % len(STORES)], f"67668940-527d-4465-94c6-{number:012d}"
    job = parse_request({"refund_id": f"rf-{number:06d}", "store_id": store, "order_id": order})
    reason = {"reason": REASONS[number % len(REASONS)], "sentence": "", "remedy": ""}
    return {
        "request": job.canonical,
        "digest": job.digest,
        "store_id": store,
        "order_id": order,
        "version": 5,
        "schema": 1,
        "accepted_at_ms": at_ms,
        "updated_at_ms": at_ms,
        "committed_at_ms": 1,
        "arrival": number + 1,
        "state": "dead",
        "died_in": "accepted",
        "reason": json.dumps(reason),
        "facts": "{}",
    }


def run(drill: Drill) -> dict[str, Any]:
    """Put the letters right; return what was found."""
    for name, command in LISTS.items():
        drill.type(name, *command)
    drill.type("dry run of one cause", "dead", "replay", "--reason-code", ASKED, "--dry-run")
    drill.type("dry run of all", "dead", "replay", "--all", "--dry-run")
    job_id = drill.replay("--all", "--canary", str(CANARY), by="ann")
    drill.wait_until(lambda: drill.job(job_id)["state"] == "waiting")
    after_canary = drill.place.counts().get("refund_payments", 0)
    drill.type("continue", "jobs", "continue", job_id)
    drill.wait_until(lambda: int(drill.job(job_id)["done"]) >= drill.count // 10)
    drill.start()
    second = drill.replay("--reason-code", SECOND, by="bob")
    drill.wait_until(lambda: int(drill.job(job_id)["done"]) >= drill.count // 4)
    drill.type("stop", "jobs", "stop", job_id)
    stopped = [drill.job(job_id)["done"]]
    threading.Event().wait(5)
    stopped.append(drill.job(job_id)["done"])
    drill.start()
    drill.type("continue", "jobs", "continue", job_id)
    drill.wait_until(lambda: all(drill.job(each)["state"] == "done" for each in (job_id, second)))
    drill.wait_until(lambda: drill.place.redis.zcard(f"{{{NAMESPACE}}}:dead") == 0)
    drill.wait_until(lambda: drill.place.counts().get("finished", 0) >= drill.count)
    drill.type("audit", "audit")
    drill.type("audit log", "audit-log", "--verify")
    counts = drill.place.counts()
    return {
        "letters": drill.count,
        "refunded": counts["refund_payments"],
        "doubled": counts.get("refunded twice", 0),
        "after_canary": after_canary,
        "done_after_stop": int(stopped[1]) - int(stopped[0]),
        "jobs": [
            {name: int(drill.job(j)[name]) for name in ("done", "refused")}
            for j in (job_id, second)
        ],
        "seconds": drill.seconds,
    }


def sentence(found: dict[str, Any]) -> str:
    """Return the figures for the README."""
    took = found["seconds"]
    lists = ", ".join(f"{name} {took[name]} s" for name in LISTS)
    first, second = found["jobs"]
    return (
        f"{found['letters']:,} letters of {len(REASONS)} causes: {lists}; dry run of one cause"
        f" {took['dry run of one cause']} s, of all {took['dry run of all']} s (each letter is"
        f" asked about at the stub of Wix); one operator replayed all of them ({first['done']:,}"
        f" done, {first['refused']:,} refused: the other one had them), another one replayed"
        f" a cause ({second['done']:,} done, {second['refused']:,} refused), and the workers were"
        f" killed twice: {found['refunded']:,} refunds made, doubled {found['doubled']}"
    )


def main() -> int:
    """Run the drill; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="make letters", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--count", type=int, default=100_000, help="the number of letters")
    parser.add_argument("--write", action="store_true", help="write the figures into the README")
    options = parser.parse_args()
    with world() as place:
        place.reset(after=0)
        drill = Drill(place, options.count)
        try:
            drill.start()
            fill(drill)
            found = run(drill)
        finally:
            if drill.group:
                drill.group.end()
    sys.stdout.write(json.dumps(found) + "\n")
    if options.write:
        figures.write("letters", sentence(found))
    is_right = found["refunded"] == found["letters"] and not found["doubled"]
    has_waited = found["after_canary"] == CANARY and found["done_after_stop"] == 0
    return int(not (is_right and has_waited))


if __name__ == "__main__":
    sys.exit(main())
