"""Runs one refund under one harm: a worker behind two proxies, and a simulator."""

from __future__ import annotations

import json
import random
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

import redis

from config.loading import load_settings
from tests.chaos import child, proxy
from tests.chaos.proxy import Plan, Proxy, http_name, http_size, proxied, redis_size
from tests.chaos.scenes import SCENES
from tests.chaos.spares import Spare
from tests.chaos.steppable import make_steppable, step_clock
from tests.support.rig import KEY, STORE_ID
from worker.app import ledger_from
from worker.client import enqueue
from worker.refund.request import parse_request
from worker.simulator import Simulator, serve

#: A refund that has not ended by then is stuck; on a busy machine a worker takes long to start.
PATIENCE_S = 120
#: Commands that are sent all the time, with or without a refund.
_IDLE = {
    *(
        "beat",
        "vouch",
        "give_back",
        "wake",
        "looks",
        "observe",
        "requeue",
        "reclaim",
        "smembers",
        "zrange",
        "zrangebyscore",
        "hget",
    ),
    # Of the thread that packs, trims and forgets, whenever its turn comes.
    *("srandmember", "lrange", "pack", "trim_outcomes", "hset"),
    *("hello", "client", "ping", "info", "time", "config", "eval", "script", "hgetall", "other"),
}
HOUR_S = 3_600
#: A worker that has lost Redis fetches again before a late call arrives; by default it takes 3 s.
RESTART_DELAY_MS = 50
#: Fewer commands while a worker waits, because each of them goes through a proxy in Python.
TICKS = {"REFUNDS_SCHEDULE_TICK_MS": "50", "REFUNDS_RECONCILE_EVERY_MS": "100"}
#: How often the bench looks whether a refund has ended.
LOOK_S = 0.025
#: When the worker's client of Redis gives up. A fetch waits half as long for a message; with a
#: limit that is not longer each idle fetch would fail, and be tried again after seconds.
ANSWER_S = 1
#: A late command arrives after the client of Redis has given up and tried again.
LATE_COMMAND_S = 1.3
#: A late call arrives after the client has given up, and before the settle delay is over. The old
#: default of that delay was hardly longer than the total timeout: 0.65 s here.
LATE_CALL_S = (0.7, 1.2)


class Harm(NamedTuple):
    """What goes wrong at one point, in addition to what happens to the one request."""

    request: proxy.Harm
    is_late: bool = False
    """Whether a call to Wix arrives late; a command to Redis does when the request is "late"."""
    kills: bool = False
    """Whether the worker is killed."""
    spare: str = ""
    """Which server takes over, if any."""
    step_s: int = 0
    """By how much the server's clock steps."""


HARMS: Mapping[str, Harm] = {
    "request_lost": Harm("request_lost"),
    "reply_lost": Harm("reply_lost"),
    "cut": Harm("cut"),
    "killed": Harm("reply_lost", kills=True),
    "late": Harm("late", is_late=True),
    "restored": Harm("reply_lost", is_late=True, spare="backup"),
    "lagging": Harm("none", is_late=True, spare="replica"),
    "clock_ahead": Harm("late", is_late=True, step_s=HOUR_S),
    "clock_back": Harm("reply_lost", kills=True, step_s=-HOUR_S),
}


@dataclass(frozen=True)
class Point:
    """A point at which something goes wrong."""

    scene: str
    server: str
    kind: str
    nth: int
    harm: str


@dataclass(frozen=True)
class Result:
    """The result, by Wix's records and by ours."""

    point: Point
    lost: bool
    doubled: bool
    stuck: bool
    struck: bool


class Bench:
    """One refund, one worker behind two proxies, and one simulator."""

    def __init__(self, redis_port: int, scene: str, namespace: str = "") -> None:
        self.scene = SCENES[scene]
        self.simulator = Simulator()
        self.simulator.add_store(STORE_ID, KEY)
        self.order = self.scene.stage(self.simulator)
        self.refund_id = f"rf-{uuid.uuid4()}"
        self.environ = (
            child.QUICK
            | TICKS
            | {child.RESTART_DELAY_MS: str(RESTART_DELAY_MS)}
            | dict(self.scene.environ)
            | {
                "REFUNDS_NAMESPACE": namespace or new_namespace(),
                "REFUNDS_STORES": json.dumps({STORE_ID: {"account_id": "a", "api_key": KEY}}),
            }
        )
        self.redis_port = redis_port
        self._switched = threading.Event()
        self._clients: list[redis.Redis] = []
        self._connect(redis_port)

    def _connect(self, port: int) -> None:
        """Connect this program, not the worker, to the server, past the proxy."""
        url = {"REFUNDS_REDIS_URL": f"redis://127.0.0.1:{port}/0"}
        self.broker, self.ledger = ledger_from(load_settings(self.environ | url))
        self._clients.append(self.broker.client)
        self._scripts = make_steppable(self.broker, self.ledger)
        for script in self._scripts.values():
            self.broker.client.script_load(script.script)

    @contextmanager
    def proxies(self) -> Iterator[tuple[Proxy, Proxy]]:
        """Yield the proxies to Redis and to Wix."""
        with (
            serve(self.simulator) as url,
            proxied(self.redis_port, self._command_name(), redis_size) as to_redis,
            proxied(int(url.rsplit(":", 1)[1]), http_name, http_size) as to_wix,
        ):
            self.to_redis, self.to_wix = to_redis, to_wix
            self.environ |= {
                "REFUNDS_REDIS_URL": f"redis://127.0.0.1:{to_redis.port}/0?socket_timeout={ANSWER_S}",
                "REFUNDS_WIX_BASE_URL": f"http://127.0.0.1:{to_wix.port}",
            }
            yield to_redis, to_wix

    def _command_name(self) -> Callable[[bytes], str]:
        names = {script.sha.encode(): name for name, script in self._scripts.items()}

        def name(request: bytes) -> str:
            parts = request.split(b"\r\n")
            command = parts[2].lower().decode() if len(parts) > 2 else "other"
            if command == "evalsha":
                if found := names.get(parts[4], "other"):
                    return f"{found} steps" if found == "fetch" else found
                given = json.loads(parts[10])
                return f"{given['command']} {given['queue']}".strip()
            if command == "blmove":
                return f"blmove {parts[4].decode().split(':')[-1]}"
            return command

        return name

    def plan(self, point: Point, kill: Callable[[], None], spare: Spare | None) -> Plan:
        """Plan the harm of this point."""
        harm = HARMS[point.harm]
        is_call = point.server == "wix"

        def happens() -> None:
            if harm.kills:
                kill()
            if harm.step_s:
                step_clock(self.broker.client, self.ledger.ns, harm.step_s)
            if spare:
                self._change_servers(spare)

        held_s = 0.0
        if harm.is_late and is_call:
            held_s = random.Random(repr(point)).uniform(*LATE_CALL_S)  # noqa: S311 - repeatable
        elif harm.request == "late":
            held_s = LATE_COMMAND_S
        plan = Plan(point.kind, point.nth, harm.request, held_s, happens)
        (self.to_wix if is_call else self.to_redis).plan = plan
        if spare:
            self.to_redis.before = lambda kind: self._keep(spare, plan, kind)
        return plan

    def _keep(self, spare: Spare, plan: Plan, kind: str) -> None:
        """Let the first server do nothing more after the harm, so that no later write is lost."""
        if plan.struck.is_set():
            self._switched.wait(PATIENCE_S)
        elif not is_idle(kind):
            spare.keep(kind)

    def _change_servers(self, spare: Spare) -> None:
        """Let the other server take over; upstream, which noticed, sends its job again."""
        port = spare.take_over()
        self._connect(port)
        self.to_redis.lead_to(port)
        self._switched.set()
        self.ask()

    def ask(self) -> None:
        """Put the job on the queue."""
        job = {"refund_id": self.refund_id, "store_id": STORE_ID, "order_id": self.order.id}
        enqueue(self.broker, parse_request(job | dict(self.scene.job)))

    def wait(self, is_over: Callable[[], bool], patience_s: float = PATIENCE_S) -> bool:
        """Wait; return whether the condition became true in time."""
        pause = threading.Event()
        until = time.monotonic() + patience_s
        while time.monotonic() < until:
            if is_over():
                return True
            pause.wait(LOOK_S)
        return False

    def has_ended(self) -> bool:
        """Return whether the refund has reached its end, by our record."""
        refund = self.ledger.load(self.refund_id)
        return bool(refund and refund.state is self.scene.ends)

    def is_clean(self) -> bool:
        """Return whether the audit finds nothing."""
        return not self.ledger.misplaced([self.refund_id], repair=False)

    def result(self, point: Point, *, struck: bool) -> Result:
        """Return the result, by Wix's records and by ours."""
        return Result(
            point,
            lost=bool(self.scene.missing(self.order)),
            doubled=bool(self.scene.surplus(self.order)),
            stuck=not (self.has_ended() and self.is_clean()),
            struck=struck,
        )

    def close(self) -> None:
        """Close all connections."""
        for client in self._clients:
            client.close()


def is_idle(kind: str) -> bool:
    """Return whether commands of this kind are sent with or without a refund."""
    return kind.split(" ", maxsplit=1)[0] in _IDLE


def new_namespace() -> str:
    """Return a namespace that nothing else uses."""
    return f"m{uuid.uuid4().hex[:12]}"
