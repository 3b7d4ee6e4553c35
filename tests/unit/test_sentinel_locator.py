"""Sentinel is asked while connections are open, and only a newer answer moves them."""

from __future__ import annotations

from typing import Any

import pytest
import redis

from worker.upstream.locators import SentinelLocator

NAME = "refunds-db"
OLD, NEW = ("old", 1), ("new", 2)


class _Watcher:
    """A Sentinel as redis-py sees it."""

    def __init__(self) -> None:
        self.asked = 0
        self.epoch, self.names = 0, OLD

    def sentinel_masters(self) -> dict[str, Any]:
        """Return what it knows."""
        self.asked += 1
        flags = {"is_master": True, "is_sdown": False, "is_odown": False, "num-other-sentinels": 0}
        state = {"ip": self.names[0], "port": self.names[1], "config-epoch": self.epoch}
        return {NAME: state | flags}


class _Silent(_Watcher):
    """One that does not answer; the clock shows how long it was waited for."""

    def __init__(self, clock: list[float]) -> None:
        super().__init__()
        self._clock = clock

    def sentinel_masters(self) -> dict[str, Any]:
        """Wait for a second, in vain."""
        self.asked += 1
        self._clock[0] += 1.0
        raise redis.TimeoutError


def _asking(*watchers: _Watcher) -> SentinelLocator:
    locator = SentinelLocator([("127.0.0.1", 1)], NAME, {}, tls=False)
    locator._sentinel.sentinels = [*watchers]
    return locator


def _keep_up(locator: SentinelLocator) -> None:
    """Let it ask, although it has just done so."""
    locator._ask_again_s = 0.0
    locator.keep_up()


def test_a_sentinel_that_was_away_is_not_followed_back() -> None:
    """It names the primary before the last failover, until the others have told it."""
    watcher = _Watcher()
    watcher.epoch, watcher.names = 5, NEW
    locator = _asking(watcher)
    assert locator.find() == NEW
    watcher.epoch, watcher.names = 4, OLD
    _keep_up(locator)
    assert (locator.current, watcher.asked) == (NEW, 2)
    watcher.epoch = 6
    _keep_up(locator)
    assert locator.current == OLD


def test_a_new_connection_goes_where_sentinel_says() -> None:
    """Sentinel may have been set up anew, and counts from 0."""
    watcher = _Watcher()
    watcher.epoch, watcher.names = 5, NEW
    locator = _asking(watcher)
    locator.find()
    watcher.epoch, watcher.names = 0, OLD
    assert locator.find() == OLD
    watcher.names = NEW
    _keep_up(locator)
    assert locator.current == NEW


def test_sentinel_is_not_asked_at_each_command(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only every two seconds."""
    clock = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    watcher = _Watcher()
    locator = _asking(watcher)
    for clock[0] in (100.0, 101.9, 102.0, 103.9):
        locator.keep_up()
    assert watcher.asked == 2


def test_sentinels_that_do_not_answer_do_not_hold_up_the_work(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The connections stay, and nobody waits for Sentinel again for ten times as long."""
    clock = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    silent = _Silent(clock)
    locator = _asking(silent)
    locator.current = OLD
    for clock[0] in (100.0, 110.9):
        locator.keep_up()
    assert (locator.current, silent.asked) == (OLD, 1)
    clock[0] = 111.0
    locator.keep_up()
    assert silent.asked == 2
