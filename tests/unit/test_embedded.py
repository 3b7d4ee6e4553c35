"""The embedded server: found, started, stopped, or a clear word why not."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
import redis

from worker.demo.embedded import NoServer, embedded_server, server_program


def test_a_server_answers_while_the_context_lasts(tmp_path: Path) -> None:
    """And is gone afterwards."""
    with embedded_server(directory=tmp_path) as url:
        client = redis.Redis.from_url(url)
        pid = client.info("server")["process_id"]
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        assert client.config_get("appendonly") == {"appendonly": "yes"}
        client.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_port_that_is_taken_is_told(tmp_path: Path) -> None:
    """Not the other program's server, and no endless wait."""
    with embedded_server(directory=tmp_path) as url:
        port = int(url.split(":")[-1].split("/")[0])
        with pytest.raises(NoServer, match="did not start"), embedded_server(port=port):
            pass


def test_without_the_extra_the_path_is_searched(tmp_path: Path) -> None:
    """A server on the PATH does as well; none at all says what to do."""
    program = tmp_path / "redis-server"
    program.write_text("#!/bin/sh\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    assert server_program(carried=lambda: None, path=str(tmp_path)) == str(program)
    with pytest.raises(NoServer, match="install the extra"):
        server_program(carried=lambda: None, path="")
    assert server_program().endswith("valkey-server")
