"""What a server has on its disk: a worker's ledger at one moment, to which it may go back."""

from __future__ import annotations

import uuid
from contextlib import closing

import redis

from tests.support.rig import Rig


class Memory:
    """All keys of a ledger, as they are now."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        with closing(self._client()) as client:
            # A key may expire between the two.
            dumps = {name: client.dump(name) for name in self._names(client)}
            self._saved = {name: value for name, value in dumps.items() if value}

    def return_to(self, *, as_it_was: bool = False) -> None:
        """Forget what was written since, as a server that restarts; or as if that had not been."""
        with closing(self._client()) as client:
            client.delete(*self._names(client))
            for name, value in self._saved.items():
                client.restore(name, 0, value)
        if not as_it_was:
            restart(self._rig)

    def _client(self) -> redis.Redis:
        return redis.Redis.from_url(self._rig.settings.redis_url.get_secret_value())

    def _names(self, client: redis.Redis) -> list[bytes]:
        return list(client.scan_iter(self._rig.key("*"), count=1_000))


def restart(rig: Rig) -> None:
    """Let the ledger remember another server, as if this one had restarted."""
    assert rig.redis.hset(rig.key("clock"), "run_id", uuid.uuid4().hex) == 0
