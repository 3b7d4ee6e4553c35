"""A rig that is disturbed at random: killed, frozen, and with calls that arrive minutes late."""

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
from worker.queue.own_calls import OwnCalls
from worker.scheduler.requeue import requeue_lost
from worker.simulator import Flags, Simulator
from worker.simulator.http.wsgi import wsgi

#: The calls that may be late: how their paths end.
LATE_CALLS = ("refund-payments", "create-fulfillment", "cancel", "void-authorized-payments")
DELETION = "DELETE"
#: A late call arrives before the settle delay is over, by default five minutes, but after the
#: fifteen seconds that it once was.
LATEST_MS = 240_000


class Killed(BaseException):
    """Raised in place of SIGKILL: the program stops at once."""


class LateTransport(SimulatorTransport):
    """A network that may delay a call: the worker gives it up, and it arrives later."""

    def __init__(self, simulator: Simulator) -> None:
        super().__init__(wsgi(simulator))
        self.holds_next = ""
        """The kind of call that is held back next."""
        self.held: list[tuple[httpx.Request, int]] = []
        """What is held back, and for how many milliseconds so far."""
        self.after_look: Callable[[], None] = lambda: None

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Hold back a mutating call, or pass it on."""
        kind = _kind_of(request)
        if kind and kind == self.holds_next:
            self.holds_next = ""
            request.read()
            self.held.append((request, 0))
            raise httpx.ReadTimeout("held back", request=request)
        answer = super().handle_request(request)
        if not kind:
            self.after_look()
        return answer

    def arrive(self) -> None:
        """Deliver the delayed calls; nobody waits for the answers."""
        self.pass_time(LATEST_MS)

    def pass_time(self, by_ms: int) -> None:
        """Let time pass; deliver what would be too late afterwards."""
        held, self.held = self.held, []
        for request, age_ms in held:
            if age_ms + by_ms < LATEST_MS:
                self.held.append((request, age_ms + by_ms))
                continue
            with contextlib.suppress(httpx.HTTPError):
                super().handle_request(request)


def _kind_of(request: httpx.Request) -> str:
    """Return the kind of a mutating call, "" for a call that only reads."""
    name = request.url.path.rpartition("/")[2]
    if request.method == DELETION:
        return DELETION
    return name if name in LATE_CALLS else ""


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
        visits, harm = self.harms.pop(place, (0, lambda: None))
        if visits > 1:
            self.harms[place] = (visits - 1, harm)
        elif visits:
            harm()

    def let_pass(self, by_ms: int) -> int:
        """Let the time pass at Wix, too; no call is under way for longer than the settle delay."""
        self.network.pass_time(by_ms)
        self.passed_ms += by_ms
        return super().let_pass(by_ms)

    def one(self, queue: str) -> None:
        """Handle one message; if that kills the worker, start a fresh one."""
        try:
            self._one(queue)
        except Killed:
            self.redis.zadd(self.key("workers"), {self.broker.broker_id: 1})
            self.broker.broker_id = str(uuid.uuid4())
            self.broker.held.clear()
            # The fresh one has made no calls, and vouches as itself.
            self.broker.own_calls = OwnCalls()
            vouching = self.ledger.intents.vouch_for(self.broker.own_calls, self.broker.broker_id)
            self.broker.vouch = vouching.turn
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
