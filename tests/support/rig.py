"""A worker without threads that the tests drive message by message.

Server, scripts, consumer and middleware are real; Wix is the simulator behind
`httpx.WSGITransport`. `run_until_idle()` runs everything that is queued or waits, without waiting.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from dramatiq.broker import MessageProxy
from dramatiq.errors import ActorNotFound

from config.loading import load_settings
from config.settings import Settings
from statemachine.flows import ACTIVE
from tests.support.transport import SimulatorTransport
from worker.app import App, Seams, acts_from, build
from worker.client import enqueue
from worker.ledger.audit_log import Operator
from worker.ledger.connection import redis_client
from worker.ledger.memory import Memory
from worker.ledger.refunds import Ledger
from worker.operations.audit import Problem, audit
from worker.operations.dead_letters import facts_after_replay
from worker.operations.installation import Membership
from worker.queue.broker import INTAKE, QUEUES, STEPS, Broker
from worker.queue.delivery import Delivery
from worker.refund.record import Refund
from worker.refund.request import parse_request
from worker.simulator import Simulator
from worker.simulator.http.wsgi import wsgi
from worker.simulator.world.orders import Order
from worker.steps.runner import Steps
from worker.stores.examiner import Examiner
from worker.stores.probing import Prober

KEY = "IST.canary-key.aaaabbbb.ccccdddd"
BEFORE, AFTER = "2024-03-31T13:42:13.136Z", "2025-01-02T03:04:05.000Z"
#: Who acts in the tests.
ANN = Operator("ann", "a test")
STORE_ID = "4b296c48-0000-4000-8000-000000000001"

#: How many messages for steps are queued at most, unless they come back.
IDLE = 64
#: Few attempts; what has to wait is made due by the rig.
QUICK = {
    "REFUNDS_RETRY_ATTEMPTS": "4",
    "REFUNDS_RETRY_FOR_S": "0",
    "REFUNDS_LANE_WIDTH": "4",
    "REFUNDS_WIX_BASE_URL": "https://wix.test",
    "REFUNDS_STORE_CALLS_PER_MIN": "0",
}


def settings_for(url: str, **more: str) -> Settings:
    """Return the settings of a test: short times, one store, a namespace of its own."""
    stores = {STORE_ID: {"account_id": "a", "api_key": KEY}}
    given = {
        "REFUNDS_REDIS_URL": url,
        "REFUNDS_STORES": json.dumps(stores),
        "REFUNDS_NAMESPACE": f"t{uuid.uuid4().hex[:12]}",
    }
    return load_settings(given | QUICK | {f"REFUNDS_{k.upper()}": v for k, v in more.items()})


class Rig:
    """One worker and one simulated Wix."""

    def __init__(self, settings: Settings, simulator: Simulator) -> None:
        self.settings = settings
        self.simulator = simulator
        simulator.add_store(STORE_ID, KEY)
        # `let_an_hour_pass` does not move the simulator's clock.
        simulator.set_flags(external_settles_ms=0)
        self.may_have_bugs = False
        """Whether the test lets the worker fail by an unexpected error."""
        self.next_step_is_here = False
        """Whether this process runs the next step, too, and may use what the last one read."""
        self.pauses: list[float] = []
        self.progress: list[str] = []
        self.at: dict[str, Callable[[], object]] = {}
        self.app: App = build(settings, self.seams())
        self.broker, self.ledger, self.stores = self.app.broker, self.app.ledger, self.app.stores
        self.acts = acts_from(settings, self.broker, self.ledger)
        self.wix, self.steps, self.watch = self.app.wix, self.app.steps, self.app.watch
        self.observer = self.app.observer
        url = settings.redis_url.get_secret_value()
        self.redis: Any = redis_client(url, namespace=settings.namespace)
        self.membership = Membership(self.broker.client, settings, Memory(None))
        self.ledger.installation = self.membership.join().installation
        self.appear()

    def appear(self) -> None:
        """Write the worker's heartbeat; others wait for work, so it is queued at once."""
        self.broker.beat()
        self.redis.zadd(self.key("idle"), {f"idle-{n}": 10**14 for n in range(IDLE)})

    def seams(self) -> Seams:
        """Return what is replaced: the network to Wix, random numbers, and pauses."""
        return Seams(
            random=lambda: 0.5,
            pause=self.pauses.append,
            transport=lambda: SimulatorTransport(wsgi(self.simulator)),
            checkpoint=self._checkpoint,
        )

    def steps_with(self, ledger: Ledger) -> Steps:
        """Return the worker's steps on another ledger."""
        return replace(self.steps, ledger=ledger)

    def prober(self) -> Prober:
        """Return what checks suspended stores at Wix."""
        return self.app.prober

    def _checkpoint(self, place: str) -> None:
        self.at.get(place, lambda: None)()

    def examiner(self) -> Examiner:
        """Return what checks an API key at Wix; its pauses are recorded and take no time."""
        return Examiner(wix=self.wix, progress=self.progress.append, pause=self.pauses.append)

    def order(self, created: str = AFTER, **more: Any) -> Order:
        """Place an order at Wix."""
        return self.simulator.add_order(STORE_ID, created_date=created, **more)

    def request(self, order: Order, refund_id: str = "", **more: Any) -> str:
        """Put a job on the queue."""
        refund_id = refund_id or f"rf-{uuid.uuid4()}"
        job = {"refund_id": refund_id, "store_id": STORE_ID, "order_id": order.id}
        enqueue(self.broker, parse_request(job | more))
        return refund_id

    def send_raw(self, body: str, message_id: str = "m-1", queue: str = INTAKE) -> None:
        """Put any text on a queue, as a foreign program might."""
        self.broker.put(queue, message_id, body)

    def run_queued(self) -> int:
        """Handle every message that is queued now; returns how many there were."""
        done = 0
        for queue in QUEUES:
            while self._waiting(queue):
                done += self._one(queue)
                assert done < 1_000, "messages cause each other without end"
        return done

    def run_one_step(self) -> None:
        """Accept all jobs, then handle one step."""
        for queue in QUEUES:
            while self._waiting(queue):
                self._one(queue)
                if queue == STEPS:
                    return

    def _waiting(self, queue: str) -> bool:
        """Return whether a message is queued, or in flight here but held by no consumer."""
        with self.redis.pipeline(transaction=False) as pipe:
            pipe.llen(self.key(queue))
            pipe.lrange(self.key(queue, "inflight", self.broker.broker_id), 0, -1)
            queued, inflight = pipe.execute()
        return bool(queued or set(inflight) - set(self.broker.held[queue].ids()))

    def _one(self, queue: str) -> int:
        consumer = self.broker.consume(queue, prefetch=2, timeout=1)
        message = next(consumer)
        if message is None:
            return 1
        try:
            actor = self.broker.get_actor(message.actor_name)
        except ActorNotFound:
            message.fail()
        else:
            self._run(actor, message)
        if not self.next_step_is_here:
            self.steps.recent.clear()
        (consumer.nack if message.failed else consumer.ack)(message)
        consumer.close()
        return 1

    def _run(self, actor: Any, message: MessageProxy) -> None:
        """Run the actor with the middleware around it, as dramatiq's worker thread does."""
        self.broker.emit_before("process_message", message)
        try:
            actor(*message.args, **message.kwargs)
        except Exception as error:  # noqa: BLE001 - the middleware judges it, as in dramatiq
            self.broker.emit_after("process_message", message, exception=error)
        else:
            self.broker.emit_after("process_message", message, result=None)

    def make_due(self) -> None:
        """Make everything that waits due now, without making calls with an unknown effect older."""
        for refund_id in self.redis.zrange(self.key("due"), 0, -1):
            self.redis.zadd(self.key("due"), {refund_id: 1})
        self.ledger.wake_due("rig", lead_ms=1)

    def let_an_hour_pass(self) -> int:
        """Let an hour pass: longer than every delay that the tests have."""
        return self.let_pass(by_ms=3_600_000)

    def let_pass(self, by_ms: int) -> int:
        """Make everything that waits due, and calls with an unknown effect older."""
        due = self.redis.zrange(self.key("due"), 0, -1)
        for refund_id in due:
            self.redis.zadd(self.key("due"), {refund_id: 1})
            hash_key = self.key("refund", refund_id)
            for name in ("intent_at_ms", "replayed_at_ms"):
                if int(self.redis.hget(hash_key, name) or 0):
                    self.redis.hincrby(hash_key, name, -by_ms)
            self.redis.delete(self.key("unanswered", self.redis.hget(hash_key, "store_id") or ""))
        paused = self.redis.zrange(self.key("paced"), 0, -1)
        for store_id in paused:
            self.redis.zadd(self.key("paced"), {store_id: 1})
            self.redis.delete(*(self.key(n, store_id) for n in ("rate", "throttled", "resting")))
        self.ledger.wake_due("rig", lead_ms=1)
        return len(due) + len(paused)

    def age(self, refund_id: str, *, days: int) -> None:
        """Let the refund have waited *days* days longer."""
        refund_hash = self.key("refund", refund_id)
        facts = json.loads(self.redis.hget(refund_hash, "facts") or "{}")
        if "waiting_since_ms" in facts:
            facts["waiting_since_ms"] -= days * 86_400_000
            self.redis.hset(refund_hash, "facts", json.dumps(facts))

    def run_until_idle(self, *, rounds: int = 60) -> None:
        """Handle messages and let time pass until nothing is queued and nothing waits."""
        for _ in range(rounds):
            if not self.run_queued() and not self.let_an_hour_pass():
                return
        raise AssertionError("something is still queued or waits")

    def bugs(self) -> list[str]:
        """Return where the worker itself failed; a step is repeated then, and hides it."""
        found = list(self.broker.quarantined().values())
        for refund_id in self.ledger.all_ids():
            found += self.ledger.history(refund_id)
        return [str(line.get("error")) for line in found if line.get("reason") == "worker_error"]

    def close(self) -> None:
        """Close the rig's own connections; fail if the worker had an error that nobody expects."""
        bugs = [] if self.may_have_bugs else self.bugs()
        self.redis.close()
        self.broker.client.close()
        if self.app.routes:
            self.app.routes.close()
        assert bugs == []

    def key(self, *parts: str) -> str:
        """Return the name of a key in Redis."""
        return ":".join((self.ledger.ns, *parts))

    def load(self, refund_id: str) -> Refund:
        """Return the record of a refund that exists."""
        refund = self.ledger.load(refund_id)
        assert refund is not None
        return refund

    def run(self, order: Order, **more: Any) -> Refund:
        """Run one refund from its job to its end."""
        refund_id = self.request(order, **more)
        self.broker.hands_over = self.next_step_is_here
        self.run_until_idle()
        self.broker.hands_over = False
        refund = self.load(refund_id)
        assert refund.state not in ACTIVE
        return refund

    def problems(self) -> list[Problem]:
        """Return what `refunds audit` finds: nothing if each refund is in exactly one place."""
        return list(audit(self.ledger, repair=None, progress=lambda _: None))

    def replay(
        self, refund_id: str, *, operator: str, manual_done: bool = False, not_done: bool = False
    ) -> bool:
        """Replay a dead letter, whatever its reason; False if it is not a dead letter."""
        refund = self.load(refund_id)
        facts = facts_after_replay(refund, manual_done=manual_done, not_done=not_done)
        return self.ledger.replay(refund, facts, Operator(operator).act("dead.replay", refund_id))

    def delivery(
        self, worker_id: str = "", message_id: str = "m", execution: str = "e"
    ) -> Delivery:
        """Return a delivery of a message to some worker."""
        return Delivery(worker_id or self.broker.broker_id, "steps", message_id, execution)


__all__ = [
    "AFTER",
    "ANN",
    "BEFORE",
    "KEY",
    "STORE_ID",
    "Broker",
    "Rig",
    "settings_for",
]
