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

#: How long the replicas may take to confirm, ms; at most half as long as the client waits.
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
    patience_s = client.connection_pool.connection_kwargs.get("socket_timeout")
    if patience_s:
        within_ms = int(min(within_ms, 500 * patience_s))
    pipe: Any = client.pipeline(transaction=False)
    pipe.incr(counter)
    pipe.execute_command("WAIT", replicas, within_ms)
    return bool(pipe.execute()[1] >= replicas)


class Replicas(NamedTuple):
    """The replicas that could take over now."""

    client: redis.Redis
    counter: str

    def written(self) -> int:
        """Return how much the server has written so far, as its replicas count it."""
        info: Any = self.client.info("replication")
        return int(info.get("master_repl_offset", 0))

    def missing(self, written: int, within_ms: int) -> int:
        """Return how many there are if they do not all have as much as was *written*; else 0.

        They may take some ms to say so. Replicas that are always later than that say each second
        how much they have.
        """
        following = self._following()
        if is_confirmed(self.client, self.counter, len(following), within_ms):
            return 0
        following = self._following()
        has_all = all(int(each.get("offset", 0)) >= written for each in following)
        return 0 if has_all else len(following)

    def _following(self) -> list[dict[str, Any]]:
        info: Any = self.client.info("replication")
        replicas = [each for name, each in info.items() if REPLICA.fullmatch(name)]
        # One that still copies the data cannot take over.
        return [each for each in replicas if each.get("state") == "online"]
