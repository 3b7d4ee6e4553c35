"""Ask replicas for a step's intent before its call to Wix is made.

Redis acknowledges a write before a replica has it. A replica that takes over may then have
forgotten the intent. `intent.lua` notices another server, and waits; here the worker asks for
certainty instead, which also covers an old primary that still answers while another one has taken
over.

WAITAOF, which asks for the disk in the same way, is not used: with a replica connected, Valkey 9.1
confirmed ten writes in a row with two calls of fdatasync.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import redis

#: How long the replicas may take to confirm, ms; below the client's socket timeout.
CONFIRM_MS = 2_000
#: The fields of INFO with one replica each.
REPLICA = re.compile(r"slave\d+")


def is_confirmed(
    client: redis.Redis, counter: str, replicas: int, within_ms: int = CONFIRM_MS
) -> bool:
    """Return whether so many replicas say in time that they have everything written so far.

    WAIT covers the writes of its own connection only; a pool may have made earlier ones on another.
    So *counter* is increased first: a replica that has this write has all writes before it.
    """
    if not replicas:
        return True
    pipe: Any = client.pipeline(transaction=False)
    pipe.incr(counter)
    pipe.execute_command("WAIT", replicas, within_ms)
    return bool(pipe.execute()[1] >= replicas)


class Replicas(NamedTuple):
    """The replicas that could take over now."""

    client: redis.Redis
    counter: str

    def missing(self, within_ms: int) -> int:
        """Return how many there are if they do not all say that they have everything; else 0."""
        info: Any = self.client.info("replication")
        following = [each for name, each in info.items() if REPLICA.fullmatch(name)]
        # One that still copies the data cannot take over.
        online = sum(each.get("state") == "online" for each in following)
        return 0 if is_confirmed(self.client, self.counter, online, within_ms) else online
