"""The embedded server: started and stopped, or an error that says what to do."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import redis

from tests.support.processes import PATIENCE_S
from tests.support.servers import free_port
from worker.demo.embedded import InstalledServer, NoServer, bundled_server, embedded_server


def _port(url: str) -> int:
    return int(url.rpartition(":")[2].partition("/")[0])


def test_a_server_runs_while_the_context_lasts(tmp_path: Path) -> None:
    """Its settings are safe for refunds, and it has ended afterwards."""
    with embedded_server(directory=tmp_path) as url, redis.Redis.from_url(url) as client:
        pid = client.info("server")["process_id"]
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        assert client.config_get("appendonly") == {"appendonly": "yes"}
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_ctrl_c_does_not_end_the_server() -> None:
    """Ctrl-C reaches every process of the terminal, but the worker needs the server to the last."""
    with embedded_server() as url, redis.Redis.from_url(url) as client:
        os.kill(client.info("server")["process_id"], signal.SIGINT)
        assert client.ping()


def test_a_port_that_is_taken_is_an_error(tmp_path: Path) -> None:
    """The server of the other program is not used."""
    with (
        embedded_server(directory=tmp_path) as url,
        pytest.raises(NoServer, match=f"did not start on port {_port(url)}"),
        embedded_server(port=_port(url)),
    ):
        pass


def test_without_the_extra_a_server_on_the_path_is_used(tmp_path: Path) -> None:
    """If there is none, the error says what to install."""
    program = tmp_path / "redis-server"
    program.write_text(f"#!/bin/sh\nexec {sys.executable} -c 'import time; time.sleep(60)'\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    server = InstalledServer(port=6379, data_dir=tmp_path, path=str(tmp_path))
    assert server.command[:3] == [str(program), "--appendonly", "yes"]
    server.start(timeout=0)
    server.stop(timeout=PATIENCE_S)
    with pytest.raises(NoServer, match="install the extra"):
        InstalledServer(port=6379, data_dir=tmp_path, path="")


def test_with_the_extra_its_server_is_used(tmp_path: Path) -> None:
    """Whatever is on the PATH."""
    assert type(bundled_server(port=6379, data_dir=tmp_path)).__name__ == "ValkeyServer"


def test_make_server_runs_until_it_is_stopped(tmp_path: Path) -> None:
    """It prints its URL, keeps its data, and exits with 0 on SIGTERM."""
    # Not one of those that outgoing connections get: another test might have it by then.
    arguments = (free_port(), str(tmp_path / "data"))
    code = f"from worker.demo.embedded import serve; serve{arguments!r}"
    program = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert program.stdout is not None
    line = program.stdout.readline()
    with redis.Redis.from_url(line.split()[0]) as client:
        assert client.ping()
    program.terminate()
    program.communicate(timeout=PATIENCE_S)
    assert program.returncode == 0
    assert (tmp_path / "data" / "appendonlydir").is_dir()


def test_make_server_says_what_to_do_if_the_port_is_taken(tmp_path: Path) -> None:
    """One line says what is wrong, and one how to use another port; there is no traceback."""
    with embedded_server() as url:
        port = _port(url)
        code = f"from worker.demo.embedded import serve; exit(serve{(port, str(tmp_path))!r})"
        program = [sys.executable, "-c", code]
        done = subprocess.run(program, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    what, remedy = done.stderr.splitlines()
    assert what.startswith(f"the server did not start on port {port}: ")
    assert remedy == f"To use another port: make server PORT={port + 1}"
