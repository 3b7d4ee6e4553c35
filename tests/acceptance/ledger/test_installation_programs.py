"""The real programs, on a server of their own that loses its data."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.support.commands import refunds
from tests.support.processes import PATIENCE_S, environment_without_settings
from tests.support.rig import KEY, STORE_ID
from worker.demo.embedded import embedded_server
from worker.simulator import Simulator, serve


class Machine:
    """One machine with its settings: it runs the worker and the commands."""

    def __init__(self, url: str, **more: str) -> None:
        self.redis: Any = redis.Redis.from_url(url, decode_responses=True)
        self.environment = environment_without_settings() | {
            "REFUNDS_REDIS_URL": url,
            "REFUNDS_WIX_BASE_URL": "http://127.0.0.1:1",
            "REFUNDS_STORES": json.dumps({STORE_ID: {"account_id": "a", "api_key": KEY}}),
            "REFUNDS_LOG_FORMAT": "json",
            "COLUMNS": "500",
            **more,
        }
        self.started: list[subprocess.Popen[str]] = []

    def start(self) -> subprocess.Popen[str]:
        """Start the worker."""
        program = subprocess.Popen(
            [sys.executable, "-m", "worker"],
            env=self.environment,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.started.append(program)
        return program

    def start_up(self) -> tuple[subprocess.Popen[str], list[dict[str, Any]]]:
        """Start the worker and read its log until all of its processes have started."""
        program = self.start()
        log: list[dict[str, Any]] = []
        processes = int(self.environment.get("REFUNDS_PROCESSES", "1"))
        assert program.stderr is not None
        while [line["event"] for line in log].count("worker.started") < processes:
            log.append(json.loads(program.stderr.readline()))
        return program, log

    def refunds(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command."""
        return refunds(None, *arguments, environment=self.environment)

    def close(self) -> None:
        """Kill what a failed test has left running."""
        for program in self.started:
            if program.poll() is None:
                os.killpg(program.pid, signal.SIGKILL)
            program.communicate()
        self.redis.close()


@pytest.fixture
def machine() -> Iterator[Machine]:
    """A machine with two worker processes, which share one file."""
    with embedded_server() as url, serve(Simulator()) as wix_url:
        machine = Machine(url, REFUNDS_PROCESSES="2", REFUNDS_WIX_BASE_URL=wix_url)
        try:
            yield machine
        finally:
            machine.close()


def _log_of(program: subprocess.Popen[str]) -> list[dict[str, Any]]:
    _, log = program.communicate(timeout=PATIENCE_S)
    return [json.loads(line) for line in log.splitlines()]


def test_a_flushall_stops_the_worker_until_the_ledger_is_adopted(machine: Machine) -> None:
    """While it runs and at its next start; audit and doctor report it, and `--adopt` accepts it."""
    program, _ = machine.start_up()
    machine.redis.flushall()
    log = _log_of(program)
    assert program.returncode == 3
    [event, *_] = [line for line in log if line["event"] == "worker.other_ledger"]
    assert (event["level"], "doctor --adopt" in event["text"]) == ("error", True)
    assert machine.redis.exists("{refunds}:installation") == 0

    again = machine.start()
    log = _log_of(again)
    assert again.returncode == 3
    assert {(x["event"], x["check"]) for x in log if "check" in x} >= {
        ("doctor.refused", "installation")
    }
    audit = machine.refunds("audit")
    assert (audit.returncode, "is empty, or another one" in audit.stderr) == (1, True)
    report = json.loads(machine.refunds("doctor", "--json").stdout)
    assert report["ok"] is False
    assert {x["check"]: x["verdict"] for x in report["findings"]}["installation"] == "refused"

    adopted = machine.refunds("doctor", "--adopt")
    assert (adopted.returncode, "Adopted" in adopted.stderr) == (0, True)
    machine.environment["REFUNDS_PROCESSES"] = "1"
    last, _ = machine.start_up()
    os.kill(last.pid, signal.SIGTERM)
    _log_of(last)
    assert last.returncode == 0


def test_a_fresh_machine_without_a_disk_needs_nothing(state_home: Path) -> None:
    """It warns about what it cannot remember, and works."""
    with embedded_server() as url:
        machine = Machine(url, REFUNDS_STATE_DIR=os.devnull)
        try:
            program, log = machine.start_up()
            os.kill(program.pid, signal.SIGTERM)
            _log_of(program)
        finally:
            machine.close()
    assert program.returncode == 0
    # This machine may be too busy for quick round trips.
    [warning] = [x for x in log if x["event"] == "doctor.warning" and x["check"] != "latency"]
    assert (warning["check"], "REFUNDS_INSTALLATION" in warning["text"]) == ("installation", True)
    assert not state_home.exists()
    events = [line["event"] for line in log]
    assert events.index("worker.installed") < events.index("worker.started")
