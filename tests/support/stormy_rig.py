"""A rig whose worker, network and clock are disturbed."""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Callable
from dataclasses import replace

import httpx

from tests.support.rig import Rig, settings_for
from tests.support.transport import SimulatorTransport
from worker.app import Seams
from worker.scheduler.requeue import requeue_lost
from worker.simulator import Flags, Simulator
from worker.simulator.http.wsgi import wsgi

HOUR_MS = 3_600_000


class Killed(BaseException):
    """Raised in place of SIGKILL: the program stops at once."""


class LateTransport(SimulatorTransport):
    """A network that may delay a call: the worker gives it up, and it arrives later."""

    def __init__(self, simulator: Simulator) -> None:
        super().__init__(wsgi(simulator))
        self.holds_next = False
        self.held: list[httpx.Request] = []
        self.after_look: Callable[[], None] = lambda: None

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Hold back the next mutating call, or pass it on."""
        mutates = request.url.path.endswith(("/cancel", "/refund-payments"))
        mutates = mutates or request.method == "DELETE"
        if self.holds_next and mutates:
            self.holds_next = False
            request.read()
            self.held.append(request)
            raise httpx.ReadTimeout("held back", request=request)
        answer = super().handle_request(request)
        if not mutates:
            self.after_look()
        return answer

    def arrive(self) -> None:
        """Deliver the delayed calls; nobody waits for the answers."""
        held, self.held = self.held, []
        for request in held:
            with contextlib.suppress(httpx.HTTPError):
                super().handle_request(request)


class StormyRig(Rig):
    """A worker that is disturbed at named points of a step."""

    def __init__(self, url: str, flags: Flags) -> None:
        self.passed_ms = 0
        self.harms: dict[str, tuple[int, Callable[[], None]]] = {}
        simulator = Simulator(flags, clock_ms=lambda: time.time_ns() // 1_000_000 + self.passed_ms)
        self.network = LateTransport(simulator)
        self.network.after_look = lambda: self._checkpoint("after_look")
        super().__init__(settings_for(url), simulator)

    def seams(self) -> Seams:
        """Return the seams of the rig, with a network that can be disturbed."""
        return replace(super().seams(), transport=lambda: self.network)

    def _checkpoint(self, place: str) -> None:
        visits, harm = self.harms.pop(place, (0, _nothing))
        if visits > 1:
            self.harms[place] = (visits - 1, harm)
        elif visits:
            harm()

    def let_an_hour_pass(self) -> int:
        """Let the hour pass at Wix, too; no call is under way for that long."""
        self.network.arrive()
        self.passed_ms += HOUR_MS
        return super().let_an_hour_pass()

    def one(self, queue: str) -> None:
        """Handle one message; if that kills the worker, start a fresh one."""
        try:
            self._one(queue)
        except Killed:
            self.redis.zadd(self.key("workers"), {self.broker.broker_id: 1})
            self.broker.broker_id = str(uuid.uuid4())
            self.broker.held.clear()
            self.broker.beat()

    def freeze(self) -> None:
        """Freeze this worker in the middle of a step, and let another one do all the work."""
        self.redis.zadd(self.key("workers"), {self.broker.broker_id: 1})
        other = Rig(self.settings, self.simulator)
        try:
            other.broker.reclaim(self.settings.worker_dead_after_ms)
            requeue_lost(other.ledger)
            other.run_queued()
            self.let_an_hour_pass()
            other.run_queued()
        finally:
            other.redis.close()
            other.broker.client.close()

    def requeue_lost(self) -> None:
        """Do what the leader does every few seconds."""
        self.broker.beat()
        self.broker.reclaim(self.settings.worker_dead_after_ms)
        requeue_lost(self.ledger)


def _nothing() -> None:
    pass
