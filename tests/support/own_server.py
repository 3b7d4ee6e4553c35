"""A server that no other test uses, for tests that count what a server was asked."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from worker.demo.embedded import embedded_server


@pytest.fixture(scope="module")
def own_server() -> Iterator[str]:
    """The URL of the server; threads that other tests have left may still ask the shared one."""
    with embedded_server() as url:
        yield url
