"""The suite's own server, and a rig on it."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
import structlog

from tests.support.rig import Rig, settings_for
from worker.demo.embedded import embedded_server
from worker.observability.logs import configure_logs
from worker.simulator import Simulator

# Hypothesis fails a test case that takes more than 200 ms; on a busy machine any case may.
hypothesis.settings.register_profile("any-speed", deadline=None)
hypothesis.settings.load_profile("any-speed")


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """A real server on a free port, stopped at the end."""
    with embedded_server() as url:
        yield url


@pytest.fixture(autouse=True)
def state_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What workers remember on this machine: nothing that another test, or its user, did."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state"


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


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """What is logged, as JSON lines; logging is as it was afterwards."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    out = io.StringIO()
    configure_logs("json", "info", out)
    yield out
    root.handlers, root.level = handlers, level
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()
