"""Strange bytes from all sides: `make fuzz` (seeded; `--minutes`, `--seed`).

A worker and the HTTP API run as programs. Strange messages are on the queue, strange requests reach
the API, and Wix's answers are strange; among them are jobs that are right. At the end both programs
must still run, each message must be a refund or a letter, each job that is right must have ended or
be a dead letter with at most one refund at Wix, and the memory of both must not grow any more.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import socket
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import psutil
import redis

from statemachine.flows import TERMINAL, State
from tests.chaos.child import QUICK
from tests.fuzz.mutations import odd_json, odd_request, odd_text
from tests.producers.programs import Programs
from worker.demo.embedded import embedded_server
from worker.serving.tokens import hash_of
from worker.simulator import Fault, Simulator, serve
from worker.simulator.script.faults import Kind
from worker.upstream import RefundQueue
from worker.upstream.wire import message_of

NAMESPACE, TOKEN = "fuzz", "rfd_of-the-fuzzer"
#: The pauses of the threads, seconds.
MESSAGE_S, REQUEST_S, JOB_S, ANSWER_S, SAMPLE_S = 0.01, 0.02, 0.2, 0.3, 1.0
#: Calls whose answers are strange at times; a mutating one is then carried out.
CALLS = ("get_order", "list_transactions", "get_order_refundability", "submit_refund")
#: What an answer is if it is not only changed.
KINDS: tuple[Kind, ...] = ("garbage", "empty", "drop_after")
PATIENCE_S = 240.0
#: By how much the memory may grow from the second quarter of the run to the last one.
MOST_GROWTH = 0.10


class Summary(NamedTuple):
    """What a run found."""

    messages: int
    requests: int
    answers: int
    jobs: int
    ended: int
    dead: int
    lost_messages: int
    lost_jobs: int
    doubled: int
    stopped: int
    """How many of the programs do not run any more."""
    growth: dict[str, str]
    """The memory in the second and in the last quarter, MB."""
    is_growing: bool

    @property
    def is_wrong(self) -> bool:
        """Whether something must not be so."""
        found = (self.lost_messages, self.lost_jobs, self.doubled, self.stopped)
        return any(found) or self.is_growing


class Fuzz:
    """One run."""

    def __init__(self, seed: int, minutes: float) -> None:
        self.seed, self.minutes = seed, minutes
        self.simulator = Simulator()
        self.simulator.set_flags(refund_answer="settled")
        self.store = self.simulator.add_store()
        self.stop = threading.Event()
        self.sent: dict[str, bytes] = {}
        self.jobs: dict[str, str] = {}
        self.counts = {"requests": 0, "answers": 0}
        self.memory: dict[str, list[float]] = {"worker-0": [], "api": []}

    def run(self) -> Summary:
        """Run it."""
        with (
            tempfile.TemporaryDirectory(prefix="refunds-fuzz-") as folder,
            embedded_server() as redis_url,
            serve(self.simulator) as wix_url,
        ):
            entry = {"account_id": "a", "api_key": "IST.simulator"}
            token = {"fuzz": {"sha256": [hash_of(TOKEN)], "stores": ["*"]}}
            settings = QUICK | {
                "REFUNDS_REDIS_URL": redis_url,
                "REFUNDS_WIX_BASE_URL": wix_url,
                "REFUNDS_WIX_ALLOW_HTTP": "true",
                "REFUNDS_WIX_READ_TIMEOUT_MS": "5000",
                "REFUNDS_WIX_TOTAL_TIMEOUT_MS": "6000",
                "REFUNDS_WORKER_DEAD_AFTER_MS": "10000",
                "REFUNDS_SETTLE_DELAY_MS": "7000",
                "REFUNDS_NAMESPACE": NAMESPACE,
                "REFUNDS_STORES": json.dumps({self.store: entry}),
                "REFUNDS_API_TOKENS": json.dumps(token),
                "REFUNDS_WATCH_FOR_S": "0",
                "REFUNDS_LOG_LEVEL": "error",
            }
            self.redis: Any = redis.Redis.from_url(redis_url)
            programs = Programs(Path(folder), settings)
            try:
                programs.start_workers(1)
                self.api = urlsplit(programs.start_api())
                with RefundQueue(redis_url, namespace=NAMESPACE) as self.queue:
                    self._fuzz(programs)
                    return self._judge(programs)
            finally:
                programs.end()
                self.redis.close()

    def _fuzz(self, programs: Programs) -> None:
        acts: tuple[tuple[float, Callable[[random.Random], None]], ...] = (
            (MESSAGE_S, self._send_message),
            (REQUEST_S, self._send_request),
            (JOB_S, self._send_job),
            (ANSWER_S, self._spoil_answer),
            (SAMPLE_S, lambda _: self._sample(programs)),
        )
        threads = [
            threading.Thread(target=self._every, args=(pause_s, act, self.seed + number))
            for number, (pause_s, act) in enumerate(acts)
        ]
        for thread in threads:
            thread.start()
        self.stop.wait(self.minutes * 60)
        self.stop.set()
        for thread in threads:
            thread.join()
        self.simulator.clear_faults()

    def _every(self, pause_s: float, act: Callable[[random.Random], None], seed: int) -> None:
        chance = random.Random(seed)  # noqa: S311 - repeatable on purpose
        while not self.stop.wait(pause_s):
            act(chance)

    def _right_job(self, chance: random.Random) -> dict[str, Any]:
        job: dict[str, Any] = {"refund_id": f"rf-{uuid.UUID(int=chance.getrandbits(128))}"}
        job |= {"store_id": self.store, "order_id": str(uuid.UUID(int=chance.getrandbits(128)))}
        more = {"reason": "damaged", "metadata": {"a": "b"}, "amount": "1.00", "currency": "USD"}
        return job | {name: more[name] for name in more if chance.random() < 0.5}

    def _send_message(self, chance: random.Random) -> None:
        job = self._right_job(chance)
        right = json.loads(message_of(job["refund_id"], json.dumps(job)).text)
        message_id, body = f"odd-{len(self.sent)}", odd_text(chance, right)
        self.sent[message_id] = body
        with self.redis.pipeline(transaction=True) as pipe:
            pipe.hset(self._key("refunds.msgs"), message_id, body)
            pipe.rpush(self._key("refunds"), message_id)
            pipe.execute()

    def _send_request(self, chance: random.Random) -> None:
        job = self._right_job(chance)
        headers = f"Authorization: Bearer {TOKEN}\r\nContent-Type: application/json\r\n"
        headers += f"Idempotency-Key: {job['refund_id']}\r\nConnection: close\r\n"
        path = chance.choice(("/v1/refunds", "/v1/refunds/rf-1", "/v1/outcomes?wait_s=0&after=1"))
        self.counts["requests"] += 1
        address = (str(self.api.hostname), int(self.api.port or 0))
        with contextlib.suppress(OSError), socket.create_connection(address, 2) as connection:
            connection.sendall(odd_request(chance, path, headers, job))
            connection.settimeout(0.2)
            connection.recv(1_000)

    def _send_job(self, chance: random.Random) -> None:
        order = self.simulator.add_order(self.store, created_date="2025-01-02T03:04:05.000Z")
        refund_id = f"right-{uuid.UUID(int=chance.getrandbits(128))}"
        self.jobs[refund_id] = order.id
        self.queue.request(refund_id=refund_id, store_id=self.store, order_id=order.id)

    def _spoil_answer(self, chance: random.Random) -> None:
        """Let one of the next answers be strange: one that was right, changed."""
        self.counts["answers"] += 1
        order_id = chance.choice(list(self.jobs.values()) or ["none"])
        call = chance.choice(CALLS)
        if chance.random() < 0.3:
            self.simulator.script(Fault(chance.choice(KINDS), call))
            return
        with contextlib.suppress(Exception):
            known = self.simulator.answer(
                "list_transactions" if call == "submit_refund" else call,
                order_id,
                {"orderId": order_id},
                consistent=True,
            )
            self.simulator.script(Fault("odd", call, body=odd_json(chance, known)))

    def _sample(self, programs: Programs) -> None:
        for name, samples in self.memory.items():
            with contextlib.suppress(psutil.Error):
                samples.append(psutil.Process(programs.pid(name)).memory_info().rss / 1e6)

    def _judge(self, programs: Programs) -> Summary:
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until and not self._is_quiet():
            threading.Event().wait(0.5)
        letters = {name.decode() for name in self.redis.hkeys(self._key("quarantine"))}
        accepted = {name.decode() for name in self.redis.zrange(self._key("accepted"), 0, -1)}
        lost = [
            name
            for name, body in self.sent.items()
            if name not in letters and not any(i.encode() in body for i in _ids(body) & accepted)
        ]
        states = [self._state(refund_id) for refund_id in self.jobs]
        refunds = [len(self.simulator.orders[order].refunds) for order in self.jobs.values()]
        quarters = {name: _quarters(samples) for name, samples in self.memory.items()}
        return Summary(
            messages=len(self.sent),
            **self.counts,
            jobs=len(self.jobs),
            ended=sum(state in TERMINAL for state in states),
            dead=states.count(State.DEAD),
            lost_messages=len(lost),
            lost_jobs=sum(state not in TERMINAL | {State.DEAD} for state in states),
            doubled=sum(count > 1 for count in refunds),
            stopped=sum(not programs.is_running(name) for name in self.memory),
            growth={name: f"{a:.1f} to {b:.1f} MB" for name, (a, b) in quarters.items()},
            is_growing=any(b > a * (1 + MOST_GROWTH) for a, b in quarters.values()),
        )

    def _is_quiet(self) -> bool:
        """Whether nothing waits, and each job that is right has ended."""
        states = map(self._state, self.jobs)
        return not self.redis.llen(self._key("refunds")) and all(
            state in TERMINAL | {State.DEAD} for state in states
        )

    def _state(self, refund_id: str) -> State | None:
        found = self.redis.hget(self._key(f"refund:{refund_id}"), "state")
        return State(found.decode()) if found else None

    def _key(self, name: str) -> str:
        return f"{{{NAMESPACE}}}:{name}"


def _ids(body: bytes) -> set[str]:
    """Return the refund that a message may be about."""
    try:
        job = json.loads(body)["kwargs"]
        return {job["refund_id"]}
    except (ValueError, TypeError, KeyError, RecursionError):
        return set()


def _quarters(samples: list[float]) -> tuple[float, float]:
    size = max(1, len(samples) // 4)
    return median(samples[size : 2 * size] or [0]), median(samples[-size:] or [0])


def main() -> int:
    """Run it; returns the exit code."""
    parser = argparse.ArgumentParser(prog="make fuzz", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    options = parser.parse_args()
    sys.stderr.write(f"seed {options.seed}: repeat with --seed {options.seed}\n")
    summary = Fuzz(options.seed, options.minutes).run()
    sys.stdout.write(json.dumps(summary._asdict()) + "\n")
    return int(summary.is_wrong)


if __name__ == "__main__":
    sys.exit(main())
