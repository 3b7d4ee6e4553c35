"""A server with the users of worker/deploy/acl, and a worker that has signed in as one of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis

from tests.support.rig import Rig, settings_for
from tests.support.roles import make_users, signed_in
from worker.demo.embedded import embedded_server
from worker.simulator import Simulator


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """A server with these users."""
    with embedded_server() as url:
        make_users(url)
        yield url


@pytest.fixture
def rig(server: str) -> Iterator[Rig]:
    """A worker with the rights of its role; the test itself may do everything."""
    settings = settings_for(signed_in("worker", server)).model_copy(update={"namespace": "refunds"})
    with redis.Redis.from_url(server) as client:
        client.flushdb()
    rig = Rig(settings, Simulator())
    rig.redis.close()
    rig.redis = redis.Redis.from_url(server, decode_responses=True)
    yield rig
    rig.close()
