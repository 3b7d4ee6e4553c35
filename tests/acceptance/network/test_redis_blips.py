"""Redis goes away while a program starts, or right after, and comes back."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from statemachine.flows import State
from tests.chaos.proxy import proxied, redis_size
from tests.support.api import TOKENS, api_program
from tests.support.console import ACT, USERS, console_program
from tests.support.processes import PATIENCE_S, REFUNDS, run_program, wait_until
from tests.support.rig import AFTER, Rig
from tests.support.worker_program import worker
from worker.simulator import serve

#: Nobody listens there.
CLOSED_PORT = 1
#: What the first request of each part of a start contains.
STAGES = {"first_request": "", "checks": "CONFIG", "installation": ":installation"}
NEVER = "no request contains this"
SERVERS = {
    "api": {"REFUNDS_API_TOKENS": json.dumps(TOKENS)},
    "console": {"REFUNDS_CONSOLE_TOKENS": json.dumps(USERS)},
}


class Line:
    """The way to Redis; it is cut once, at the first request that contains a text."""

    def __init__(self, rig: Rig, cut_at: str) -> None:
        self._port = int(rig.redis.get_connection_kwargs()["port"])
        self._cut_at = cut_at
        self._lock = threading.Lock()
        self.was_cut = False

    @contextmanager
    def open(self) -> Iterator[str]:
        """Yield the URL that leads over this line."""
        with proxied(self._port, lambda request: request.decode("latin-1"), redis_size) as proxy:
            self._proxy = proxy
            proxy.before = self._look_at
            yield f"redis://127.0.0.1:{proxy.port}/0"

    def _look_at(self, request: str) -> None:
        with self._lock:
            if not self.was_cut and self._cut_at in request:
                self.cut()

    def cut(self) -> None:
        """Close all connections; new ones are closed at once."""
        self.was_cut = True
        self._proxy.lead_to(CLOSED_PORT)

    def mend(self) -> None:
        """Lead to the server again."""
        self._proxy.lead_to(self._port, cut=False)


class Log:
    """The events that a running worker logs."""

    def __init__(self, program: subprocess.Popen[str]) -> None:
        self.events: list[str] = []
        self._program = program
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for text in self._program.stderr or ():
            self.events.append(json.loads(text)["event"])

    def has_ended(self) -> bool:
        """Return whether the worker has ended."""
        return self._program.poll() is not None

    def wait_for(self, event: str) -> None:
        """Wait until the worker has logged this event."""
        wait_until(lambda: event in self.events or self.has_ended())
        assert event in self.events, self.events

    def end(self) -> set[str]:
        """Tell the worker to stop; it must end well. Returns what it logged."""
        os.kill(self._program.pid, signal.SIGTERM)
        assert self._program.wait(PATIENCE_S) == 0, self.events
        self._reader.join(PATIENCE_S)
        return set(self.events)


def _works_again(rig: Rig, refund_id: str, log: Log) -> None:
    """Check that the worker refunds, and that it ends well."""
    wait_until(lambda: _is_refunded(rig, refund_id) or log.has_ended())
    assert _is_refunded(rig, refund_id), log.events
    events = log.end()
    assert {"worker.started", "worker.stopped"} <= events
    assert not {"worker.bug", "worker.crashed", "doctor.refused"} & events


def _is_refunded(rig: Rig, refund_id: str) -> bool:
    refund = rig.ledger.load(refund_id)
    return refund is not None and refund.state is State.REFUNDED


@pytest.mark.parametrize("stage", STAGES)
def test_a_worker_that_starts_waits_until_redis_is_back(rig: Rig, stage: str) -> None:
    """Whatever it was about to ask; it says so, and then it refunds."""
    refund_id = rig.request(rig.order(AFTER))
    line = Line(rig, STAGES[stage])
    with (
        line.open() as redis_url,
        serve(rig.simulator) as wix_url,
        worker(rig, wix_url, REFUNDS_REDIS_URL=redis_url, REFUNDS_CONFIRM_FIRST_MS="50") as program,
    ):
        log = Log(program)
        log.wait_for("worker.redis_lost")
        assert line.was_cut
        assert "worker.started" not in log.events
        line.mend()
        _works_again(rig, refund_id, log)


def test_a_worker_that_has_started_goes_on_when_redis_is_back(rig: Rig) -> None:
    """It loses Redis after its first call to Wix; the order is refunded once.

    The reply to an intent may be lost: then the refund waits for the settle delay.
    """
    order = rig.order(AFTER)
    refund_id = rig.request(order)
    line = Line(rig, NEVER)
    with (
        line.open() as redis_url,
        serve(rig.simulator) as wix_url,
        worker(
            rig,
            wix_url,
            REFUNDS_REDIS_URL=redis_url,
            REFUNDS_CONFIRM_FIRST_MS="50",
            REFUNDS_SETTLE_DELAY_MS="14000",
        ) as program,
    ):
        log = Log(program)
        wait_until(lambda: rig.simulator.calls)
        line.cut()
        log.wait_for("worker.redis_lost")
        line.mend()
        _works_again(rig, refund_id, log)
    assert len(order.refunds) == 1


@pytest.mark.parametrize("name", SERVERS)
@pytest.mark.parametrize("stage", STAGES)
def test_a_server_that_cannot_start_says_why(rig: Rig, name: str, stage: str) -> None:
    """In one sentence, with exit code 1; whatever runs it starts it again."""
    line = Line(rig, STAGES[stage])
    with line.open() as redis_url:
        settings = {
            "REFUNDS_REDIS_URL": redis_url,
            "REFUNDS_NAMESPACE": rig.settings.namespace,
            "REFUNDS_LOG_FORMAT": "json",
            **SERVERS[name],
        }
        done = run_program((*REFUNDS, name, "--port", "0"), settings)
    assert line.was_cut
    assert done.returncode == 1
    [said] = [text for text in done.stderr.splitlines() if not text.startswith("{")]
    assert "Redis at REFUNDS_REDIS_URL does not answer" in said


def test_a_console_that_has_started_answers_again_when_redis_is_back(rig: Rig) -> None:
    """Meanwhile a user gets 503, and the program runs on."""
    line = Line(rig, NEVER)
    with (
        line.open() as redis_url,
        console_program(redis_url, rig.settings.namespace) as running,
        running.browser(ACT) as browser,
    ):
        assert browser.get("/").status_code == 200
        line.cut()
        assert browser.get("/").status_code == 503
        line.mend()
        wait_until(lambda: browser.get("/").status_code == 200)


def test_an_api_that_has_started_answers_again_when_redis_is_back(rig: Rig) -> None:
    """Meanwhile a client gets 503, and the program runs on."""
    line = Line(rig, NEVER)
    with (
        line.open() as redis_url,
        api_program(redis_url, rig.settings.namespace) as running,
        running.client() as client,
    ):
        assert client.get("/v1/outcomes?wait_s=0").status_code == 200
        line.cut()
        assert client.get("/v1/outcomes?wait_s=0").status_code == 503
        line.mend()
        wait_until(lambda: client.get("/v1/outcomes?wait_s=0").status_code == 200)
