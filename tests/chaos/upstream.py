"""Upstream in a chaos run: it sends jobs, and keeps each until it has read the job's end."""

from __future__ import annotations

import random
import threading
import uuid
from collections.abc import Mapping
from math import ceil
from typing import Any

import redis
from dramatiq.errors import ConnectionClosed

from statemachine.flows import State
from tests.chaos.scenes import SCENES, Scene
from worker.client import RefundQueue, enqueue
from worker.queue.broker import Broker
from worker.refund.request import RefundRequest, parse_request
from worker.simulator import Simulator
from worker.simulator.world.orders import Order

STORES = 20
#: With cells. They get their first jobs one after the other, also while cells are added.
STORES_IN_CELLS = 60
#: Kinds of refunds that must all finish, with the same settings; none may become a dead letter.
HOPEFUL = [s for s in SCENES.values() if s.ends is not State.DEAD and not s.environ]


class Upstream:
    """Sends one job for each order."""

    def __init__(
        self, simulator: Simulator, seed: int, namespace: str, stores: int = STORES
    ) -> None:
        self._chance = random.Random(seed)  # noqa: S311 - repeatable on purpose
        self._simulator = simulator
        self._namespace = namespace
        self.stores = [simulator.add_store(self._uuid()) for _ in range(stores)]
        self.orders: dict[str, tuple[Scene, Order]] = {}
        self._jobs: dict[str, RefundRequest] = {}
        self._lock = threading.Lock()
        self._pause = threading.Event()
        self.broker: Broker
        self.url: str

    def send_new(self, known: float = 1.0) -> None:
        """Place an order of one of this share of the stores, and send the job to refund it."""
        store_id = self._chance.choice(self.stores[: ceil(known * len(self.stores))])
        scene = self._chance.choice(HOPEFUL)
        order_id, refund_id = self._uuid(), f"rf-{self._uuid()}"
        order = scene.stage(self._simulator, store_id, order_id)
        ids = {"refund_id": refund_id, "store_id": store_id, "order_id": order_id}
        job = parse_request(ids | dict(scene.job))
        with self._lock:
            self.orders[refund_id] = scene, order
            self._jobs[refund_id] = job
        self._send(job)

    def send_again(self) -> int:
        """After the server may have forgotten jobs, send all that have not ended; returns how many.

        Only what the stream of events shows now counts as an end, not what it may have shown.
        """
        events = self._events()
        ended = {event["subject"] for event in events if event["type"] == "refund.finished"}
        with self._lock:
            open_jobs = [job for refund_id, job in self._jobs.items() if refund_id not in ended]
        for job in open_jobs:
            self._send(job)
        return len(open_jobs)

    def _events(self) -> list[Mapping[str, Any]]:
        """Return what the streams of all cells show."""
        with RefundQueue(self.url, namespace=self._namespace) as queue:
            while True:
                try:
                    return [outcome.event for outcome in queue.outcomes()]
                except redis.RedisError:
                    self._pause.wait(0.1)

    def _send(self, job: RefundRequest) -> None:
        while True:
            try:
                return enqueue(self.broker, job)
            except ConnectionClosed:
                # Send it again until it is accepted, as the documentation says.
                self._pause.wait(0.1)

    def _uuid(self) -> str:
        return str(uuid.UUID(int=self._chance.getrandbits(128), version=4))
