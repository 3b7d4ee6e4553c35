"""How much memory a key takes, whatever free blocks the allocator finds for it."""

from __future__ import annotations

import redis

from tests.support.rig import Rig
from worker.demo.embedded import embedded_server

PATIENCE_MS = 10_000


def bytes_of(rig: Rig, key: str) -> int:
    """Return the number of bytes that a key takes, on a server that has nothing else.

    libc's allocator gives more than was asked for when it uses a free block again whose rest would
    be too small; where other tests have worked, there may be many such blocks.
    """
    with embedded_server() as url, redis.Redis.from_url(url, decode_responses=True) as fresh:
        port = fresh.connection_pool.connection_kwargs["port"]
        rig.redis.migrate("127.0.0.1", port, key, 0, PATIENCE_MS, copy=True)
        return int(fresh.memory_usage(key, samples=0))
