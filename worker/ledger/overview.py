"""How things stand in the ledger, at a glance (`lua/status.lua`)."""

from __future__ import annotations

import json
from typing import Any

import redis

from statemachine.flows import ACTIVE, State
from worker.ledger.lanes import LaneRules
from worker.ledger.scripts import load_scripts
from worker.queue.names import QUEUES

#: How many workers and stores of each kind are told by name.
LONGEST_LIST = 50
#: What is due for longer than this should have been woken.
OVERDUE_MS = 30_000


class Overview:
    """Reads the overview. Raises redis.RedisError if the server does not answer."""

    def __init__(self, client: redis.Redis, *, namespace: str) -> None:
        self._ns = f"{{{namespace}}}"
        # The script uses no lane.
        self._scripts = load_scripts(client, ("status",), namespace=namespace, lanes=LaneRules(1))

    def read(self, *, minutes: int = 10, dead_after_ms: int = 0, lanes: int = 0) -> dict[str, Any]:
        """Return what the script says, with the counts of the last *minutes*.

        *lanes* says how many stores' lanes are told by name.
        """
        active = sorted(ACTIVE)
        given = {
            "active": active,
            "ended": sorted(set(State) - set(active)),
            "queues": QUEUES,
            "limit": LONGEST_LIST,
            "minutes": minutes,
            "dead_after_ms": dead_after_ms,
            "lanes": lanes,
            "overdue_ms": OVERDUE_MS,
        }
        text: Any = self._scripts["status"](keys=[self._ns], args=[json.dumps(given)])
        return dict(json.loads(text))
