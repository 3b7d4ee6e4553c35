"""The signs of life of a worker: what it says with each heartbeat, and what it counts."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from importlib.metadata import version

from config.settings import Settings
from worker.observability.counts import Counts
from worker.observability.tracing import Tracer, WixCall
from worker.queue.broker import Broker
from worker.queue.middleware import Running
from worker.scheduler.heart import Heart


def seen_by(
    broker: Broker, running: Running, counts: Counts, tracer: Tracer
) -> Callable[[WixCall], None]:
    """Return what is told of each call to Wix."""
    broker.add_middleware(running)

    def seen(call: WixCall) -> None:
        running.saw_call()
        broker.meter.saw_call(call.result, call.seconds)
        counts.saw_call(call.endpoint, call.result, call.seconds)
        tracer.called(call)

    return seen


def heart_of(settings: Settings, broker: Broker, running: Running, counts: Counts) -> Heart:
    """Return what writes the heartbeat."""
    return Heart(
        broker,
        running,
        longest_call_s=settings.wix_total_timeout_ms / 1000,
        took=lambda seconds: counts.observe("refunds_worker_redis_seconds", seconds),
    )


def about(settings: Settings, running: Running) -> Callable[[], dict[str, str | int]]:
    """Return what a worker says about itself with each heartbeat."""
    fixed: dict[str, str | int] = {
        "version": version("wix-refund-worker"),
        "threads": settings.threads,
        "host": socket.gethostname()[:100],
        "pid": os.getpid(),
        "started_at_ms": round(time.time() * 1000),
    }
    return lambda: {**fixed, "busy": running.steps}
