"""A server's clock that can step: all scripts of the worker see the server's time plus an offset.

The offset is a key in Redis. Only the scripts read the time, and Redis itself, for expiry: a step
shortens or lengthens the life of each key that expires, as a real step does.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

import redis

from worker.ledger.refunds import Ledger
from worker.ledger.stores import Stores
from worker.queue.broker import Broker

if TYPE_CHECKING:
    from redis.commands.core import Script

_TIME = "local time = redis.call('TIME')\n"
_STEPPED = _TIME + "time[1] = time[1] + (redis.call('GET', ns .. ':test_clock_s') or 0)\n"

_STEP = """
local by_s = tonumber(ARGV[1])
redis.call('INCRBY', KEYS[1] .. ':test_clock_s', by_s)
for _, name in ipairs(redis.call('KEYS', KEYS[1] .. ':*')) do
    local left_ms = redis.call('PTTL', name)
    if left_ms >= 0 then redis.call('PEXPIRE', name, left_ms - by_s * 1000) end
end
"""


def make_steppable(broker: Broker, ledger: Ledger, *more: Stores) -> dict[str, Script]:
    """Let the scripts see a clock that can step; returns the scripts by name."""
    named = dict(ledger._scripts) | {"": broker._queue_script}
    scripts: Iterator[Script] = (s for one in more for s in one._scripts.values())
    for script in (*named.values(), *scripts):
        text = str(script.script)
        if text.count(_TIME) != 1:
            raise AssertionError("the scripts read the time in another way now")
        script.script = text.replace(_TIME, _STEPPED)
        script.sha = hashlib.sha1(script.script.encode()).hexdigest()  # noqa: S324 - as Redis does
    return named


def step_clock(client: redis.Redis, namespace: str, by_s: int) -> None:
    """Step the server's clock, ahead or back."""
    client.eval(_STEP, 1, namespace, str(by_s))
