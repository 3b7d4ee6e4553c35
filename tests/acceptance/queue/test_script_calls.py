"""The connections on which scripts are called; see worker/ledger/connection.py."""

from __future__ import annotations

from tests.support.rig import Rig
from worker.ledger.connection import redis_client


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
