"""Sentinel names another primary while connections to the old one stay open, and it goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.processes import wait_until
from tests.support.servers import FAST, node, sentinel, wait_for_link
from worker.ledger.connection import redis_client
from worker.upstream import locators

NAME = "refunds-db"


def test_open_connections_follow_sentinel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After `SENTINEL FAILOVER` the old primary goes on for ten seconds, which it then forgets."""
    monkeypatch.setattr(locators, "ASK_AGAIN_S", 0.0)
    with (
        node(tmp_path, *FAST) as first,
        node(tmp_path, *FAST, "--replicaof", f"127.0.0.1 {first.port}") as second,
        sentinel(tmp_path, first.port) as (watcher, url),
        redis_client(url) as client,
    ):
        wait_for_link(second)
        script = client.register_script("return redis.call('INCR', KEYS[1])")
        script(keys=["n"])
        client.set("a", "before")
        second.client.replicaof("NO", "ONE")
        # Sentinel does not know the old primary any more, so that it stays one.
        watcher.execute_command("SENTINEL", "REMOVE", NAME)
        watcher.execute_command("SENTINEL", "MONITOR", NAME, "127.0.0.1", second.port, 1)
        wait_until(lambda: script(keys=["n"]) and second.client.get("n") != "1")
        client.set("a", "after")
        assert (first.client.get("a"), second.client.get("a")) == ("before", "after")
        assert first.client.info("replication")["role"] == "master"
