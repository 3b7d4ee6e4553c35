"""For each message: bind the log context, and decide what a failure means."""

from __future__ import annotations

import re
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, cast

import dramatiq
import redis
from dramatiq.errors import ConnectionClosed

from worker.errors import LeaseLost, LivesElsewhere, NoSuchCell, OtherLedger
from worker.observability.context import bind_only
from worker.observability.events import log_event
from worker.observability.foreign import type_and_place
from worker.queue.delivery import Delivery
from worker.queue.handover import Chain, Handed
from worker.queue.jobs import batch_of, jobs_of, mark_failed, set_jobs
from worker.queue.names import STEPS
from worker.queue.server_errors import explain

if TYPE_CHECKING:
    from worker.queue.broker import Broker

_delivery: ContextVar[Delivery] = ContextVar("delivery")


def current_delivery() -> Delivery:
    """Return the delivery that the calling actor runs for."""
    return _delivery.get()


#: A problem of the server has a code (MISCONF, OOM, ...). So has a key of the wrong type, which is
#: permanent. Before Redis 7 a script's error has its code in the middle, after ": -".
_CODED = re.compile(r"(?:^|: -)(?!WRONGTYPE|ERR)[A-Z]{3,} ")


#: Errors after which a message comes again; of those of Redis only some.
PASSING = (
    LeaseLost,
    LivesElsewhere,
    NoSuchCell,
    OtherLedger,
    redis.RedisError,
    ConnectionClosed,
)


def may_pass(error: BaseException) -> bool:
    """Whether the message may succeed later; an error of a script itself is permanent."""
    if type(error) is redis.ResponseError:
        return bool(_CODED.search(str(error)))
    return isinstance(error, PASSING)


def _delivery_of(broker: Broker, message: dramatiq.broker.MessageProxy) -> Delivery:
    return Delivery(
        broker.broker_id,
        message.queue_name,
        message.options["redis_message_id"],
        execution=uuid.uuid4().hex,
        chain=Chain(broker.may_go_on),
    )


class Running(dramatiq.Middleware):
    """Knows which threads run a message, and when each was last seen to do something."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        #: By the thread's id: its name, and when it was seen.
        self._threads: dict[int, tuple[str, float]] = {}
        #: The ids of those that run steps.
        self._of_steps: set[int] = set()

    @property
    def count(self) -> int:
        """The number of these threads."""
        return len(self._threads)

    @property
    def steps(self) -> int:
        """The number of those that run a step."""
        return len(self._of_steps)

    def before_process_message(
        self,
        broker: dramatiq.Broker,  # noqa: ARG002 - dramatiq's signature
        message: dramatiq.broker.MessageProxy,
    ) -> None:
        """Count the thread."""
        thread, ident = threading.current_thread(), threading.get_ident()
        self._threads[ident] = (thread.name, self._monotonic())
        if message.queue_name == STEPS:
            self._of_steps.add(ident)

    def after_process_message(self, *_: object, **_more: object) -> None:
        """Count it no longer."""
        self._threads.pop(threading.get_ident(), None)
        self._of_steps.discard(threading.get_ident())

    def saw_call(self) -> None:
        """The calling thread has ended a call, so its step goes on."""
        ident = threading.get_ident()
        if known := self._threads.get(ident):
            self._threads[ident] = (known[0], self._monotonic())

    def most_silent(self) -> tuple[str, float] | None:
        """Return the thread that was not seen for longest, and for how long, in seconds."""
        now_s = self._monotonic()
        seen = [(name, now_s - at_s) for name, at_s in list(self._threads.values())]
        return max(seen, key=lambda each: each[1], default=None)


class MessageContext(dramatiq.Middleware):
    """Binds refund, actor and message to each log line of a step; decides what a failure means."""

    def after_worker_boot(self, broker: dramatiq.Broker, worker: dramatiq.Worker) -> None:  # noqa: ARG002 - dramatiq's signature
        """From now on threads go on with what they are handed."""
        _ours(broker).hands_over = True

    def before_worker_shutdown(self, broker: dramatiq.Broker, worker: dramatiq.Worker) -> None:  # noqa: ARG002 - dramatiq's signature
        """Each thread ends after its step."""
        _ours(broker).hands_over = False

    def before_process_message(
        self, broker: dramatiq.Broker, message: dramatiq.broker.MessageProxy
    ) -> None:
        """Bind before the actor runs."""
        ours = _ours(broker)
        if jobs := jobs_of(message, ours.broker_id):
            set_jobs(jobs)
            bind_only(actor=message.actor_name)
            return
        delivery = _delivery_of(ours, message)
        ours.held[message.queue_name].begin(delivery.message_id)
        ours.executions.add(delivery.execution)
        refund_id = message.args[0] if message.args else message.kwargs.get("refund_id")
        _bind(delivery, str(refund_id), message.actor_name)

    def after_process_message(
        self,
        broker: dramatiq.Broker,
        message: dramatiq.broker.MessageProxy,
        *,
        result: Any = None,  # noqa: ARG002 - dramatiq's signature
        exception: BaseException | None = None,
    ) -> None:
        """Decide whether the message is done, must come again, or needs a person; go on."""
        if exception is None:
            message.options["acknowledged"] = True
        else:
            _judge(message, exception)
        if not batch_of(message):
            _go_on(_ours(broker), current_delivery())
        bind_only()


def _ours(broker: dramatiq.Broker) -> Broker:
    return cast("Broker", broker)


def _bind(delivery: Delivery, refund_id: str, actor: str) -> None:
    _delivery.set(delivery)
    bind_only(refund_id=refund_id[:100], actor=actor, message_id=delivery.message_id)


def _judge(message: dramatiq.broker.MessageProxy, error: BaseException) -> None:
    if not may_pass(error):
        mark_failed(message, type_and_place(error))
        message.fail()
        return
    message.options["uncommitted"] = True
    if isinstance(error, LeaseLost):
        log_event("step.lease_lost", transition=message.actor_name)
    elif not isinstance(error, OtherLedger):  # the program logs it once, and stops
        log_event("step.unsettled", error=explain(error))


def _go_on(broker: Broker, first: Delivery) -> None:
    """Run what the thread was handed, step by step; what it does not run is given back."""
    try:
        while first.chain and broker.hands_over and (handed := first.chain.take()):
            _bind(
                first._replace(message_id=handed.message_id, claimed=handed.claimed),
                handed.refund_id,
                handed.transition,
            )
            broker.handed.add(handed.message_id)
            _run_handed(broker, handed)
            broker.handed.discard(handed.message_id)
    finally:
        broker.executions.discard(first.execution)


def _run_handed(broker: Broker, handed: Handed) -> None:
    try:
        broker.get_actor(handed.transition).fn(handed.refund_id)
    except Exception as error:  # noqa: BLE001 - judged like that of any other message
        options = {"redis_message_id": handed.message_id, "given": {}}
        message: dramatiq.Message[Any] = dramatiq.Message(
            STEPS, handed.transition, (handed.refund_id,), {}, options, handed.message_id
        )
        failed = dramatiq.broker.MessageProxy(message)
        _judge(failed, error)
        if failed.failed:
            with suppress(ConnectionClosed):
                broker.consume(STEPS).nack(failed)
