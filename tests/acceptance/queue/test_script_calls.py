"""The connections on which scripts are called; see worker/ledger/connection.py."""

from __future__ import annotations

from typing import Any

import pytest
import redis

from tests.support.rig import Rig
from worker.ledger.connection import redis_client
from worker.upstream.connection import ServerConnection


def test_a_forked_process_does_not_use_its_parents_connections(rig: Rig) -> None:
    """Each would read the replies to the other's calls."""
    with redis_client(rig.settings.redis_url.get_secret_value()) as client:
        script = client.register_script("return 1")
        assert script() == script() == 1
        [parents] = client.idle
        # What a forked process finds: a connection that another one has opened.
        parents.pid += 1
        assert script() == 1
        assert list(client.idle) != [parents]


def test_a_client_that_asks_once_does_not_ask_again(rig: Rig) -> None:
    """A scrape of the metrics says how long Redis may take to answer."""
    asked: list[str] = []

    class Silent(ServerConnection):
        """A server that takes scripts and never answers."""

        def send_packed_command(self, command: Any, check_health: bool = True) -> None:  # noqa: FBT002 - redis-py's signature
            """Time out."""
            if b"EVALSHA" in b"".join(command):
                asked.append("EVALSHA")
                raise redis.TimeoutError
            super().send_packed_command(command, check_health)  # type: ignore[no-untyped-call]  # redis-py's

    with redis_client(rig.settings.redis_url.get_secret_value(), tries=1) as client:
        client.connection_pool.connection_class = Silent
        with pytest.raises(redis.TimeoutError):
            client.register_script("return 1")()
    assert asked == ["EVALSHA"]
