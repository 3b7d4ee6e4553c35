"""For each message: bind the log context, and decide what a failure means."""

from __future__ import annotations

import re
import threading
import uuid
from contextvars import ContextVar
from typing import Any

import dramatiq
import redis
import structlog
from dramatiq.errors import ConnectionClosed

from worker.errors import LeaseLost, OtherLedger
from worker.observability.events import log_event
from worker.queue.delivery import Delivery
from worker.queue.jobs import Job, batch_of, mark_failed, set_jobs
from worker.queue.server_errors import explain

_delivery: ContextVar[Delivery] = ContextVar("delivery")


def current_delivery() -> Delivery:
    """Return the delivery that the calling actor runs for."""
    return _delivery.get()


#: A problem of the server has a code (MISCONF, OOM, ...). So has a key of the wrong type, which is
#: permanent. Before Redis 7 a script's error has its code in the middle, after ": -".
_CODED = re.compile(r"(?:^|: -)(?!WRONGTYPE|ERR)[A-Z]{3,} ")


def may_pass(error: BaseException) -> bool:
    """Whether the message may succeed later; an error of a script itself is permanent."""
    if type(error) is redis.ResponseError:
        return bool(_CODED.search(str(error)))
    return isinstance(error, LeaseLost | OtherLedger | redis.RedisError | ConnectionClosed)


def _delivery_of(broker: dramatiq.Broker, message: dramatiq.broker.MessageProxy) -> Delivery:
    return Delivery(
        str(broker.broker_id),  # type: ignore[attr-defined]  # our Broker
        message.queue_name,
        message.options["redis_message_id"],
        execution=uuid.uuid4().hex,
        due_at_ms=message.options.get("due_at_ms", 0),
        problems=message.options.get("problems", {}),
    )


class Running(dramatiq.Middleware):
    """Knows which threads run a message at this moment."""

    def __init__(self) -> None:
        self._threads: set[int] = set()

    @property
    def count(self) -> int:
        """The number of these threads."""
        return len(self._threads)

    def before_process_message(self, *_: object) -> None:
        """Count the thread."""
        self._threads.add(threading.get_ident())

    def after_process_message(self, *_: object, **_more: object) -> None:
        """Count it no longer."""
        self._threads.discard(threading.get_ident())


class MessageContext(dramatiq.Middleware):
    """Binds refund, actor and message to each log line of a step; decides what a failure means."""

    def before_process_message(
        self, broker: dramatiq.Broker, message: dramatiq.broker.MessageProxy
    ) -> None:
        """Bind before the actor runs."""
        structlog.contextvars.clear_contextvars()
        if batch := batch_of(message):
            set_jobs([Job(each, _delivery_of(broker, each)) for each in batch])
            structlog.contextvars.bind_contextvars(actor=message.actor_name)
            return
        _delivery.set(_delivery_of(broker, message))
        refund_id = message.args[0] if message.args else message.kwargs.get("refund_id")
        structlog.contextvars.bind_contextvars(
            refund_id=str(refund_id)[:100],
            actor=message.actor_name,
            message_id=message.options["redis_message_id"],
        )

    def after_process_message(
        self,
        broker: dramatiq.Broker,  # noqa: ARG002 - dramatiq's signature
        message: dramatiq.broker.MessageProxy,
        *,
        result: Any = None,  # noqa: ARG002 - dramatiq's signature
        exception: BaseException | None = None,
    ) -> None:
        """Decide whether the message is done, must come again, or needs a person."""
        if exception is None:
            message.options["acknowledged"] = True
        elif may_pass(exception):
            message.options["uncommitted"] = True
            if isinstance(exception, LeaseLost):
                log_event("step.lease_lost", transition=message.actor_name)
            elif not isinstance(exception, OtherLedger):  # the program logs it once, and stops
                log_event("step.unsettled", error=explain(exception))
        else:
            mark_failed(message, exception)
            message.fail()
        structlog.contextvars.clear_contextvars()
