"""Fixtures for all tests: a server, a simulator, a rig."""

from __future__ import annotations

import functools
import io
import os
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
import typer.testing

from tests.support.logs import captured_log
from tests.support.longest import LONGEST
from tests.support.plain_fields import every_field_is_plain  # noqa: F401 - a fixture of all tests
from tests.support.rig import Rig, settings_for
from worker.demo.embedded import embedded_server
from worker.simulator import Simulator

# By default a case that takes over 200 ms fails; on a busy machine any case may take longer.
hypothesis.settings.register_profile("any-speed", deadline=None)
# In CI each run has the same examples, so that what fails is due to the change.
hypothesis.settings.register_profile("same-examples", deadline=None, derandomize=True)
hypothesis.settings.load_profile(os.environ.get("TEST_EXAMPLES", "any-speed"))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Move the longest files to the front; pytest-randomly has shuffled the others."""
    ranks = {Path(__file__).parent / name: rank for rank, name in enumerate(LONGEST)}
    items.sort(key=lambda item: ranks.get(item.path, len(ranks)))


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """The URL of a real server on a free port, shared by all tests of the process."""
    with embedded_server() as url:
        yield url


@pytest.fixture(scope="session", autouse=True)
def commands_are_made_once() -> Iterator[None]:
    """Typer makes all commands for each run of one, which takes longer than most of them do."""
    made = functools.cache(typer.main.get_command)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(typer.main, "get_command", made)
        patch.setattr(typer.testing, "_get_command", made)
        yield


@pytest.fixture(scope="module", autouse=True)
def state_home_of_the_file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """An empty directory for programs that the tests of a file share.

    With a directory in common, they would refuse to start beside refunds of another file.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture(autouse=True)
def state_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty directory for what workers remember on this machine."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state"


@pytest.fixture
def simulator() -> Simulator:
    """A simulated Wix without stores and orders."""
    return Simulator()


@pytest.fixture
def rig(redis_url: str, simulator: Simulator) -> Iterator[Rig]:
    """A worker that the test drives, in a namespace of its own."""
    rig = Rig(settings_for(redis_url), simulator)
    yield rig
    rig.close()


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """Everything that is logged, as JSON lines."""
    with captured_log() as out:
        yield out
