"""Cells that hung are asked again before anybody waits for them; see also `test_doubt.py`."""

from __future__ import annotations

import socket
import threading
from contextlib import closing

import pytest
import redis

from worker.cells.clients import Clients


def test_cells_that_hung_are_asked_at_the_same_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """They may all be on one server: whoever asks does not wait for one after the other."""
    monkeypatch.setattr("worker.cells.clients.AWAY_S", 0.0)
    both = threading.Barrier(2, timeout=10)
    monkeypatch.setattr(Clients, "_look_again", lambda _self, _cell: both.wait())
    with closing(Clients("redis://127.0.0.1:1/0", "refunds", {})) as clients:
        for cell in ("1", "2"):
            with pytest.raises(redis.TimeoutError), clients.watched(cell):
                raise redis.TimeoutError
        assert clients.hanging() == {"1", "2"}


def test_a_cell_that_still_hangs_is_not_asked_for_each_batch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each batch would wait for it again."""
    monkeypatch.setattr("worker.cells.clients.LOOK_S", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        url = f"redis://127.0.0.1:{deaf.getsockname()[1]}/0"
        with closing(Clients(url, "refunds", {})) as clients:
            monkeypatch.setattr("worker.cells.clients.AWAY_S", 0.0)
            with pytest.raises(redis.TimeoutError), clients.watched("1"):
                raise redis.TimeoutError
            monkeypatch.setattr("worker.cells.clients.AWAY_S", 1_000.0)
            assert clients.hanging() == {"1"}
            deaf.accept()[0].close()
            assert clients.hanging() == {"1"}
            deaf.settimeout(0)
            with pytest.raises(BlockingIOError):
                deaf.accept()
