"""Is the server still fit? Somebody may change a policy, or a failover lead to another server."""

from __future__ import annotations

import redis

from worker.observability.events import log_event
from worker.operations.doctor import findings_of


class Fitness:
    """Repeats the checks of the start while the worker works, and logs what has changed."""

    def __init__(self, client: redis.Redis, wait_replicas: int, namespace: str) -> None:
        self._redis = client
        self._wait_replicas = wait_replicas
        self._namespace = namespace
        #: The level of each check so far; what was so at the start has been logged there.
        self._levels: dict[str, str] | None = None

    @property
    def is_fit(self) -> bool:
        """Whether nothing was refused at the last look."""
        return "refused" not in (self._levels or {}).values()

    def turn(self) -> None:
        """Look once. Raises redis.RedisError if the server does not answer."""
        found = findings_of(self._redis, self._wait_replicas, namespace=self._namespace)
        before, self._levels = self._levels, {finding.check: finding.level for finding in found}
        for finding in found:
            if before is None or before.get(finding.check) == finding.level:
                continue
            if finding.level == "refused":
                log_event("doctor.refused", check=finding.check, text=finding.text)
            elif finding.level == "warning":
                log_event("doctor.warning", check=finding.check, text=finding.text)
