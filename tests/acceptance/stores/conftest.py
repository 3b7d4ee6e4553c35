"""What several test files about stores start from."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.rig import KEY
from tests.support.shop import Shop
from tests.support.stores_rig import StoresRig
from worker.simulator import serve


@pytest.fixture
def shop(redis_url: str, tmp_path: Path, log: io.StringIO) -> Iterator[Shop]:
    """A store at Wix, over real HTTP, that is not connected yet."""
    rig = StoresRig.with_vault(redis_url)
    with serve(rig.simulator) as url:
        yield Shop(rig, url, tmp_path)
    assert KEY not in log.getvalue()
    rig.close()
