"""Whether a refund costs more when many have been finished before."""

from __future__ import annotations

import json
from typing import Any

from tests.benchmarks.contenders import STORES, Ours, Size, send_one
from tests.benchmarks.fairness import wait_for_outcomes
from tests.benchmarks.peers.calls import order_id
from tests.benchmarks.world import World
from tests.support.processes import wait_until
from worker.client import RefundClient

TEMPLATE, COPIES = 4_000_000, 4_000_001
BATCH = 500


def fill(world: World, size: Size, count: int) -> None:
    """Finish one refund, and copy every trace of it *count* times under other names."""
    world.reset(after=size.after)
    template = order_id(TEMPLATE, 0)
    group = Ours().start(world, size)
    try:
        send_one(RefundClient(world.redis_url), STORES[0], template)
        wait_for_outcomes(world, "refund.finished", 1)
        # Soon after its end a record is packed; else all copies would be packed while we measure.
        wait_until(lambda: not world.redis.exists("{refunds}:unpacked"))
    finally:
        group.end()
    traces = [
        trace for key in world.redis.scan_iter("*") for trace in _traces(world, key, template)
    ]
    pipe = world.redis.pipeline(transaction=False)
    for number in range(count):
        copy = order_id(COPIES, number)
        for command in traces:
            pipe.execute_command(*(_renamed(part, template, copy) for part in command))
        if number % BATCH == BATCH - 1:
            pipe.execute()
    pipe.execute()


def _renamed(part: Any, template: str, copy: str) -> Any:
    return part.replace(template, copy) if isinstance(part, str) else part


def _traces(world: World, key: str, template: str) -> list[list[Any]]:
    """Return the commands that write what a key says of the refund."""
    kind, redis = world.redis.type(key), world.redis
    found: list[list[Any]] = []
    if kind == "string":
        found = [["SET", key, redis.get(key)]]
    elif kind == "hash":
        found = [["HSET", key, *pair] for pair in redis.hgetall(key).items()]
    elif kind == "list":
        found = [["RPUSH", key, each] for each in redis.lrange(key, 0, -1)]
    elif kind == "set":
        found = [["SADD", key, each] for each in redis.smembers(key)]
    elif kind == "zset":
        found = [
            ["ZADD", key, score, each] for each, score in redis.zrange(key, 0, -1, withscores=True)
        ]
    elif kind == "stream":
        entries = [fields for _, fields in redis.xrange(key)]
        found = [["XADD", key, "*", *sum(fields.items(), ())] for fields in entries]
    if template in key:
        return found
    return [command for command in found if template in json.dumps(command)]
