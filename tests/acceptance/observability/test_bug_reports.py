"""Bugs are reported to Sentry, and nothing else."""

from __future__ import annotations

import asyncio
import io
import json
from typing import Any

import httpx
import pytest
import sentry_sdk
from sentry_sdk.envelope import Envelope
from sentry_sdk.transport import Transport
from starlette.responses import Response
from starlette.types import ASGIApp

from config.access import ApiProducer
from tests.support.api import ALL
from tests.support.rig import AFTER, BEFORE, KEY, Rig
from worker.api.application import Gate as ApiGate
from worker.console.gate import Gate as ConsoleGate
from worker.observability.bugs import client_of, report_bugs, reporter
from worker.observability.events import log_event, observe
from worker.serving.tokens import Tokens, hash_of
from worker.simulator import Fault

EMAIL = "canary.buyer@example.com"
DSN = "http://public@127.0.0.1:1/1"


class InMemory(Transport):
    """Keeps what would be sent."""

    def __init__(self, options: dict[str, Any]) -> None:
        super().__init__(options)
        self.sent: list[dict[str, Any]] = []

    def capture_envelope(self, envelope: Envelope) -> None:
        """Keep one report."""
        event = envelope.get_event()
        self.sent.append(json.loads(json.dumps(event, default=str)))


@pytest.fixture
def sent() -> list[dict[str, Any]]:
    """All that is sent from now on."""
    client = client_of(sentry_sdk, DSN, {}, transport=InMemory)
    observe(reporter(client.capture_event))
    kept: list[dict[str, Any]] = client.transport.sent
    return kept


def test_a_bug_is_reported_with_its_place_and_nothing_of_the_job(
    rig: Rig, sent: list[dict[str, Any]]
) -> None:
    """No text of the error, no local variable, no id; the same for each attempt."""
    rig.may_have_bugs = True
    order = rig.order(AFTER, email=EMAIL)

    def fail() -> None:
        secret = f"{KEY} {EMAIL}"
        raise KeyError(secret)

    rig.at["before_intent"] = fail
    refund_id = rig.request(order, reason=EMAIL, requested_by=KEY, metadata={"x": EMAIL})
    rig.run_until_idle()
    # The ledger keeps the place only.
    assert "stack" not in json.dumps(rig.ledger.history(refund_id))
    assert {report["logger"] for report in sent} == {"step.retry", "step.dead"}
    [fault] = sent[0]["exception"]["values"]
    assert fault["type"] == "KeyError"
    assert fault["value"].startswith("at test_bug_reports.py:")
    frames = [(f["filename"], f["function"]) for f in fault["stacktrace"]["frames"]]
    assert (frames[0], frames[-1]) == (("runner.py", "_act"), ("test_bug_reports.py", "fail"))
    assert ("standard.py", "submit_refund") in frames
    assert sent[0]["tags"]["step"] == "submit_refund"
    assert sent[0]["release"].startswith("wix-refund-worker@")
    assert len({json.dumps(report["fingerprint"]) for report in sent}) == 1
    text = json.dumps(sent)
    for secret in ("canary", refund_id, order.id):
        assert secret not in text


def test_a_bug_in_a_thread_has_its_calls(sent: list[dict[str, Any]]) -> None:
    """The outermost first; a text that is no place is not sent."""
    stack = "a.py:7 inner < b.py:9 <lambda> < /home/canary x"
    log_event("worker.bug", error="KeyError at a.py:7", stack=stack, thread="t")
    log_event("worker.bug", error=f"it failed for {EMAIL}", stack=EMAIL, thread="t")
    first, second = (report["exception"]["values"][0] for report in sent)
    frames = [(f["filename"], f["lineno"], f["function"]) for f in first["stacktrace"]["frames"]]
    assert frames == [("b.py", 9, "<lambda>"), ("a.py", 7, "inner")]
    assert (second["type"], second["value"]) == ("worker.bug", "")
    assert "canary" not in json.dumps(sent)


async def _fail(*_: object) -> None:
    secret = f"{KEY} {EMAIL}"
    raise KeyError(secret)


async def _answer(app: ASGIApp) -> httpx.Response:
    headers = {"Authorization": f"Bearer {ALL}"}
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
        return await client.get("/v1/refunds", headers=headers)


@pytest.mark.parametrize("program", ["api", "console"])
def test_a_bug_in_a_server_is_answered_with_500_and_reported(
    program: str, sent: list[dict[str, Any]], log: io.StringIO
) -> None:
    """Its stack is in the log and in the report; neither has the text of the error."""
    gates: dict[str, ASGIApp] = {
        "api": ApiGate(_fail, Tokens({"all": ApiProducer(sha256=(hash_of(ALL),), stores=("*",))})),
        "console": ConsoleGate(
            _fail, has_tls=False, refuse=lambda one: Response(one.text, one.status)
        ),
    }

    assert asyncio.run(_answer(gates[program])).status_code == 500
    [report] = sent
    assert report["logger"] == f"{program}.bug"
    [fault] = report["exception"]["values"]
    assert fault["stacktrace"]["frames"][-1]["function"] == "_fail"
    assert "test_bug_reports.py" in log.getvalue()
    assert "canary" not in json.dumps(sent) + log.getvalue()


@pytest.mark.parametrize("dsn", ["canary", "http://canary@host/x", "http://canary@host:port/1"])
def test_an_address_that_sentry_refuses_stops_no_program(dsn: str, log: io.StringIO) -> None:
    """Refunds do not depend on it; its log says which variable is wrong, and not the value."""
    report_bugs({"SENTRY_DSN": dsn})
    [line] = [json.loads(text) for text in log.getvalue().splitlines()]
    assert (line["event"], line["variable"]) == ("extra.refused", "SENTRY_DSN")
    assert "canary" not in log.getvalue()


def test_what_is_no_bug_is_not_reported(rig: Rig, sent: list[dict[str, Any]]) -> None:
    """A dead letter, a retry and a rejection are for operators."""
    rig.simulator.script(Fault("status", "get_order", status=501))
    rig.run(rig.order(AFTER))
    rig.run(rig.order(BEFORE, status="REJECTED"))
    rig.run(rig.order(AFTER))
    assert sent == []
