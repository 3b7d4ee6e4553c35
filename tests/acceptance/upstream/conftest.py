"""A client of the rig's server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.rig import Rig
from worker.client import RefundQueue


@pytest.fixture
def queue(rig: Rig) -> Iterator[RefundQueue]:
    """A client of the rig's server."""
    url = rig.settings.redis_url.get_secret_value()
    with RefundQueue(url, namespace=rig.settings.namespace) as client:
        yield client
