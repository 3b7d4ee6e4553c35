"""The plain dramatiq broker and ours, side by side, on one real server behind one proxy each."""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal, NamedTuple
from urllib.parse import urlsplit

import dramatiq
import redis
from dramatiq.brokers.redis import RedisBroker

from tests.chaos.proxy import Harm, Plan, Proxy, proxied, redis_size
from worker.ledger.connection import redis_client
from worker.queue.broker import INTAKE, Broker
from worker.queue.middleware import MessageContext

Who = Literal["plain", "ours"]
#: The queue of the scenarios.
QUEUE = INTAKE
#: Far more than it takes.
PATIENCE_S = 40


def until(condition: Callable[[], object]) -> None:
    """Wait for a condition, looking often."""
    pause = threading.Event()
    for _ in range(PATIENCE_S * 50):
        if condition():
            return
        pause.wait(0.02)
    raise AssertionError("it did not happen")


def port_of(url: str) -> int:
    """The port of a server's URL."""
    return urlsplit(url).port or 6379


def command_name(request: bytes) -> str:
    """Name a command: `fetch refunds`, `enqueue refunds.DQ`, ..."""
    parts = request.split(b"\r\n")
    if len(parts) > 10 and parts[10].startswith(b"{"):
        given = json.loads(parts[10])
        return f"{given['command']} {given['queue']}"
    if len(parts) > 14 and parts[2].lower() == b"evalsha":
        return f"{parts[10].decode()} {parts[14].decode()}"
    return parts[2].lower().decode()


class Stage(NamedTuple):
    """One broker on its server, and a way to look at what is in Redis."""

    broker: RedisBroker
    proxy: Proxy
    redis: Any
    ns: str

    def harm(self, command: str, how: Harm) -> None:
        """Let this go wrong the next time it is asked."""
        self.proxy.plan = Plan(command, 1, how)

    def send(self, *names: str) -> None:
        """One message for each name."""
        for name in names:
            self.broker.enqueue(self.message(name))

    @staticmethod
    def message(name: str, actor: str = "work") -> dramatiq.Message[Any]:
        """A message whose only argument is its name."""
        return dramatiq.Message(
            queue_name=QUEUE, actor_name=actor, args=(name,), kwargs={}, options={}
        )

    def take_all(self) -> list[str]:
        """What dramatiq's consumer thread gets: after every error it makes a new consumer."""
        taken: list[str] = []
        for _ in range(3):
            consumer = self.broker.consume(QUEUE, prefetch=16, timeout=1)
            try:
                while (message := next(consumer)) is not None:
                    taken.append(message.args[0])
                    consumer.ack(message)
            except Exception:  # noqa: BLE001, S112 - as dramatiq does
                continue
        return taken

    def left(self) -> int:
        """How many messages Redis still has: queued, in flight, delayed, or kept for people."""
        kinds = ("", ".DQ", ".XQ")
        bodies = sum(self.redis.hlen(f"{self.ns}:{QUEUE}{kind}.msgs") for kind in kinds)
        return int(bodies + self.redis.hlen(f"{self.ns}:quarantine"))

    def in_flight(self) -> int:
        """How many it counts as being worked at."""
        plain = sum(self.redis.scard(key) for key in self.redis.scan_iter(f"{self.ns}:__acks__.*"))
        ours = self.redis.llen(f"{self.ns}:{QUEUE}:inflight:{self.broker.broker_id}")
        return int(plain + ours)

    @contextmanager
    def worker(self) -> Iterator[dramatiq.Worker]:
        """A worker of dramatiq's own, one thread, stopped gracefully."""
        worker = dramatiq.Worker(self.broker, worker_threads=1, worker_timeout=50)
        worker.start()
        try:
            yield worker
        finally:
            worker.stop()


@contextmanager
def stage(
    who: Who, url: str, *, timeout_s: float = 1.0, host: str | None = None
) -> Iterator[Stage]:
    """A broker in a namespace of its own; with *host* the plain one retries as redis-py likes."""
    name = f"p{uuid.uuid4().hex[:12]}"
    with proxied(port_of(url), command_name, redis_size) as proxy:
        broker = _broker(who, name, proxy.port, timeout_s, host)
        broker.declare_queue(QUEUE)
        direct: Any = redis.Redis.from_url(url, decode_responses=True)
        # Known scripts only: a NOSCRIPT answer would take the blow that is meant for another.
        for script in (*broker.scripts.values(), getattr(broker, "_queue_script", None)):
            if script is not None:
                direct.script_load(script.script)
        try:
            yield Stage(broker, proxy, direct, str(broker.namespace))
        finally:
            broker.client.close()
            direct.close()


def _broker(who: Who, name: str, port: int, timeout_s: float, host: str | None) -> RedisBroker:
    url, ns = f"redis://127.0.0.1:{port}/0?socket_timeout={timeout_s}", f"{{{name}}}"
    if who == "ours":
        return Broker(redis_client(url), namespace=name, middleware=[MessageContext()])
    if host:
        return RedisBroker(host=host, port=port, socket_timeout=timeout_s, namespace=ns)  # type: ignore[no-untyped-call]  # dramatiq's
    return RedisBroker(url=url, namespace=ns)  # type: ignore[no-untyped-call]  # dramatiq's
