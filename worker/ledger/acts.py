"""What people do to refunds and letters: each act is one script, which also records it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import redis

from worker.ledger.audit_log import Act
from worker.ledger.lanes import LaneRules
from worker.ledger.refunds import Ledger
from worker.ledger.scripts import load_scripts

#: One file each, in lua/.
SCRIPTS = ("record", "restore")


class Acts:
    """Writes what people do. Raises redis.RedisError when the server does not answer."""

    def __init__(
        self,
        client: redis.Redis,
        ledger: Ledger,
        *,
        namespace: str,
        lanes: LaneRules,
        worker_dead_after_ms: int,
    ) -> None:
        self.ledger = ledger
        self.ns = f"{{{namespace}}}"
        self._redis = client
        self._dead_after_ms = worker_dead_after_ms
        self._scripts = load_scripts(client, SCRIPTS, namespace=namespace, lanes=lanes)

    def _run(self, script: str, act: Act, **arguments: Any) -> Any:
        given = {"dead_after_ms": self._dead_after_ms, **arguments}
        if self.ledger.installation:
            given["installation"] = self.ledger.installation
        return self.ledger.audit_log.call(self._scripts[script], given, act)

    def record(self, act: Act) -> None:
        """Record an act that changes nothing else in the ledger."""
        self._run("record", act)

    def letter(self, message_id: str) -> dict[str, Any] | None:
        """Return the letter of a message that never became a refund, None if there is none."""
        found: Any = self._redis.hget(f"{self.ns}:quarantine", message_id)
        return json.loads(found) if found else None

    def restore(self, message_id: str, letter: Mapping[str, Any], act: Act) -> bool:
        """Put a quarantined message back on its queue; False if it is no letter any more."""
        queue, message = letter["queue"], letter["message"]
        return bool(self._run("restore", act, queue=queue, message_id=message_id, message=message))
