"""Spans of steps and of calls to Wix."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from config.settings import Settings
from statemachine.flows import State
from tests.support.processes import PATIENCE_S, wait_until
from tests.support.rig import AFTER, KEY, STORE_ID, Rig, settings_for
from tests.support.worker_program import worker
from worker.app import Seams
from worker.observability.events import observe
from worker.observability.otel import OtelTracer
from worker.observability.tracing import UNTRACED, tracer_from
from worker.simulator import Fault, Simulator, serve

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
EMAIL = "canary.buyer@example.com"


class TracedRig(Rig):
    """A rig whose worker makes spans."""

    def __init__(self, settings: Settings, simulator: Simulator) -> None:
        self._spans = InMemorySpanExporter()
        self.tracer = OtelTracer(self._spans, {})
        observe(self.tracer.saw_event)
        super().__init__(settings, simulator)

    def seams(self) -> Seams:
        """Return what is replaced: also the exporter."""
        return replace(super().seams(), tracer=self.tracer)

    def spans(self) -> list[ReadableSpan]:
        """Return all spans; there are no more afterwards."""
        self.tracer.close(PATIENCE_S)
        return list(self._spans.get_finished_spans())


@pytest.fixture
def traced(redis_url: str, simulator: Simulator) -> Iterator[TracedRig]:
    """A worker that the test drives."""
    rig = TracedRig(settings_for(redis_url), simulator)
    yield rig
    rig.close()


def _value(span: ReadableSpan, name: str) -> object:
    return (span.attributes or {}).get(name)


def test_each_step_and_each_call_has_a_span(traced: TracedRig) -> None:
    """Calls are parts of their step, and each step is linked to upstream's trace."""
    refund = traced.run(traced.order(AFTER), traceparent=f"00-{TRACE}-{PARENT}-01")
    spans = traced.spans()
    steps = [span for span in spans if span.kind is SpanKind.CONSUMER]
    calls = [span for span in spans if span.kind is SpanKind.CLIENT]
    assert len(steps) + len(calls) == len(spans)
    assert [span.name for span in steps] == [
        "process assess_order", "process submit_refund", "process confirm_refund",
    ]  # fmt: skip
    for step in steps:
        assert _value(step, "messaging.operation.type") == "process"
        assert _value(step, "messaging.destination.name") == "steps"
        assert _value(step, "messaging.message.id")
        assert _value(step, "refunds.refund_id") == refund.refund_id
        assert _value(step, "refunds.store_id") == STORE_ID
        assert _value(step, "refunds.result") == "done"
        [link] = step.links
        assert (f"{link.context.trace_id:032x}", f"{link.context.span_id:016x}") == (TRACE, PARENT)
    ids = {step.context.span_id for step in steps}
    names = [call.name for call in calls]
    assert names[0] == "GET get_order"
    assert "POST submit_refund" in names
    for call in calls:
        assert call.parent is not None
        assert call.parent.span_id in ids
        assert _value(call, "http.response.status_code") == 200
        assert _value(call, "server.address") == "wix.test"
        assert str(_value(call, "url.full")).startswith("http")
        assert _value(call, "refunds.wix_request_id")
        assert call.start_time is not None
        assert call.end_time is not None
        assert call.start_time <= call.end_time


def test_what_fails_is_an_error(traced: TracedRig) -> None:
    """A call that Wix refuses, and the step that becomes a dead letter because of it."""
    traced.simulator.script(Fault("status", "get_order", status=501))
    traced.run(traced.order(AFTER))
    call, step = traced.spans()
    assert (call.status.status_code, _value(call, "error.type")) == (StatusCode.ERROR, "501")
    assert (step.status.status_code, _value(step, "refunds.result")) == (StatusCode.ERROR, "dead")
    assert _value(step, "refunds.reason")


def test_no_secret_is_in_a_span(traced: TracedRig) -> None:
    """Neither of the job, nor of Wix's answers, nor of an unexpected error."""
    traced.may_have_bugs = True
    order = traced.order(AFTER, email=EMAIL)
    odd = Fault("status", "get_order", status=400, code=KEY, order_id=order.id)
    traced.simulator.script(odd)
    traced.run(order, reason=f"mail {EMAIL}", requested_by=f"key {KEY}", metadata={"x": EMAIL})
    fails = traced.order(AFTER, email=EMAIL)

    def fail() -> None:
        raise KeyError(f"{KEY} {EMAIL}")

    traced.at["after_call"] = fail
    traced.request(fails, reason=EMAIL)
    traced.run_queued()
    spans = traced.spans()
    failed = [span for span in spans if _value(span, "error.type") == "KeyError"]
    assert failed
    assert "KeyError at " in (failed[0].status.description or "")
    text = "".join(span.to_json() for span in spans)
    assert "canary" not in text


@pytest.mark.parametrize(
    "environ",
    [{}, {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_SDK_DISABLED": "true"}],
)
def test_without_a_collector_nothing_is_traced(environ: dict[str, str]) -> None:
    """The SDK is not even imported."""
    assert tracer_from(environ) is UNTRACED


class _Collector:
    """Takes what is sent by OTLP; or never answers."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.got: list[tuple[str, bytes]] = []
        self.may_answer = threading.Event()


@contextmanager
def _collector(*, answers: bool) -> Iterator[_Collector]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            made.got.append((self.path, body))
            made.may_answer.wait(PATIENCE_S)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    made = _Collector(f"http://127.0.0.1:{server.server_address[1]}")
    if answers:
        made.may_answer.set()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        made.may_answer.set()
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.mark.parametrize("answers", [True, False])
def test_the_program_sends_spans_and_waits_for_no_collector(rig: Rig, *, answers: bool) -> None:
    """They go by OTLP to where the SDK's variable says; one that hangs holds up no end."""
    with serve(rig.simulator) as url, _collector(answers=answers) as collector:
        endpoint = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "50"}
        with worker(rig, url, **endpoint) as program:
            refund_id = rig.request(rig.order(AFTER, email=EMAIL))
            wait_until(
                lambda: bool((r := rig.ledger.load(refund_id)) and r.state is State.REFUNDED)
            )
            sought = b"process assess_order" if answers else b"wix-refund-worker"
            wait_until(lambda: any(sought in body for _, body in collector.got))
            os.kill(program.pid, signal.SIGTERM)
            _, log = program.communicate(timeout=PATIENCE_S)
    assert program.returncode == 0
    assert {path for path, _ in collector.got} == {"/v1/traces"}
    sent = b"".join(body for _, body in collector.got)
    assert b"wix-refund-worker" in sent
    assert b"canary" not in sent
    assert "canary" not in log


def test_the_worker_starts_without_the_extras(rig: Rig) -> None:
    """It says which one is missing."""
    code = (
        "import sys; sys.modules.update(opentelemetry=None, sentry_sdk=None);"
        " from worker.__main__ import run; run()"
    )
    wanted = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1",
        "SENTRY_DSN": "http://canary@127.0.0.1:1/1",
    }
    with (
        serve(rig.simulator) as url,
        worker(rig, url, command=(sys.executable, "-c", code), **wanted) as program,
    ):
        lines = [_line_of(program)]
        while lines[-1]["event"] != "worker.started":
            lines.append(_line_of(program))
        os.kill(program.pid, signal.SIGTERM)
        program.communicate(timeout=PATIENCE_S)
    assert program.returncode == 0
    missing = [line["extra"] for line in lines if line["event"] == "extra.missing"]
    assert missing == ["sentry", "otel"]


def _line_of(program: subprocess.Popen[str]) -> dict[str, Any]:
    """Read the next line of its log."""
    assert program.stderr is not None
    line: dict[str, Any] = json.loads(program.stderr.readline())
    return line
