"""dramatiq's own broker and ours, side by side: one real server, and a proxy for each."""

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
#: The queue of all messages here.
QUEUE = INTAKE
#: Far longer than anything takes.
PATIENCE_S = 40


def until(condition: Callable[[], object]) -> None:
    """Wait for a condition, checking it often."""
    pause = threading.Event()
    for _ in range(PATIENCE_S * 50):
        if condition():
            return
        pause.wait(0.02)
    raise AssertionError("it did not happen")


def port_of(url: str) -> int:
    """Return the port in a server's URL."""
    return urlsplit(url).port or 6379


def command_name(request: bytes) -> str:
    """Return the name of a command, such as `fetch refunds` or `enqueue refunds.DQ`."""
    parts = request.split(b"\r\n")
    if len(parts) > 10 and parts[10].endswith(b".msgs"):
        # Our script that enqueues a message: its keys are the queue and the queue's messages.
        return f"enqueue {parts[8].decode().rpartition(':')[2]}"
    if len(parts) > 10 and parts[10].startswith(b"{"):
        given = json.loads(parts[10])
        # A script of the ledger: the harm here is to commands of the queue.
        return f"{given['command']} {given['queue']}" if "command" in given else "ledger"
    if len(parts) > 14 and parts[2].lower() == b"evalsha":
        return f"{parts[10].decode()} {parts[14].decode()}"
    return parts[2].lower().decode()


class Stage(NamedTuple):
    """One broker, and a way to see what is in Redis."""

    broker: RedisBroker
    proxy: Proxy
    redis: Any
    ns: str

    def harm(self, command: str, how: Harm) -> None:
        """Apply this fault to the next command of this name."""
        self.proxy.plan = Plan(command, 1, how)

    def send(self, *names: str) -> None:
        """Send one message for each name."""
        for name in names:
            self.broker.enqueue(self.message(name))

    @staticmethod
    def message(name: str, actor: str = "work") -> dramatiq.Message[Any]:
        """Return a message whose only argument is its name."""
        return dramatiq.Message(
            queue_name=QUEUE, actor_name=actor, args=(name,), kwargs={}, options={}
        )

    def take_all(self) -> list[str]:
        """Return what dramatiq's consumer thread gets; it makes a new consumer after each error."""
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
        """Return how many messages Redis has: queued, in flight, delayed, or kept for people."""
        kinds = ("", ".DQ", ".XQ")
        bodies = sum(self.redis.hlen(f"{self.ns}:{QUEUE}{kind}.msgs") for kind in kinds)
        return int(bodies + self.redis.hlen(f"{self.ns}:quarantine"))

    def in_flight(self) -> int:
        """Return how many messages Redis counts as in flight."""
        plain = sum(self.redis.scard(key) for key in self.redis.scan_iter(f"{self.ns}:__acks__.*"))
        ours = self.redis.llen(f"{self.ns}:{QUEUE}:inflight:{self.broker.broker_id}")
        return int(plain + ours)

    @contextmanager
    def worker(self) -> Iterator[dramatiq.Worker]:
        """Run a worker of dramatiq's with one thread, and stop it gracefully."""
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
    """Set up a broker in its own namespace; with *host*, redis-py retries for the plain one."""
    name = f"p{uuid.uuid4().hex[:12]}"
    with proxied(port_of(url), command_name, redis_size) as proxy:
        broker = _broker(who, name, proxy.port, timeout_s, host)
        broker.declare_queue(QUEUE)
        direct: Any = redis.Redis.from_url(url, decode_responses=True)
        # Load the scripts first: otherwise the answer NOSCRIPT would use up the fault.
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
