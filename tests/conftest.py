"""The suite's own server, and a rig on it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.rig import Rig, settings_for
from worker.embedded import embedded_server
from worker.simulator import Simulator


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """A real server on a free port, stopped at the end."""
    with embedded_server() as url:
        yield url


@pytest.fixture
def simulator() -> Simulator:
    """Wix, empty."""
    return Simulator()


@pytest.fixture
def rig(redis_url: str, simulator: Simulator) -> Iterator[Rig]:
    """A worker that the test drives, in a namespace of its own."""
    rig = Rig(settings_for(redis_url), simulator)
    yield rig
    rig.close()
