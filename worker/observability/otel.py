"""Spans of steps and of calls to Wix, with OpenTelemetry (the extra `otel`).

The SDK's variables (OTEL_...) say where they go, what is sampled, and how the service is called.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from urllib.parse import urlsplit

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace import Span, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from worker.observability.foreign import type_and_place
from worker.observability.redaction import redact_text
from worker.observability.tracing import WixCall

SERVICE = "wix-refund-worker"
#: From this status on, a call has failed.
_FAILURE = 400


def over_http(environ: Mapping[str, str]) -> OtelTracer:
    """Return what sends spans by OTLP over HTTP."""
    return OtelTracer(OTLPSpanExporter(), environ)


class OtelTracer:
    """Makes spans, and sends them in a thread of its own: what does not fit is dropped."""

    def __init__(self, exporter: SpanExporter, environ: Mapping[str, str]) -> None:
        name = {} if environ.get("OTEL_SERVICE_NAME") else {"service.name": SERVICE}
        resource = Resource.create({**name, "service.version": version(SERVICE)})
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer(SERVICE, version(SERVICE))

    @contextmanager
    def step(self, transition: str, queue: str, message_id: str) -> Iterator[None]:
        """Make the span of one step. The text of an error may hold a secret, so it has none."""
        attributes = {
            "messaging.system": "redis",
            "messaging.operation.name": "process",
            "messaging.operation.type": "process",
            "messaging.destination.name": queue,
            "messaging.message.id": redact_text(message_id),
            "refunds.transition": transition,
        }
        with self._tracer.start_as_current_span(
            f"process {transition}",
            kind=SpanKind.CONSUMER,
            attributes=attributes,
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                yield
            except Exception as error:
                span.set_attribute("error.type", type(error).__name__)
                span.set_status(Status(StatusCode.ERROR, type_and_place(error)))
                raise

    def about(self, refund_id: str, store_id: str, traceparent: str | None) -> None:
        """Name the refund, and link to the trace in which upstream asked for it."""
        span = trace.get_current_span()
        span.set_attribute("refunds.refund_id", redact_text(refund_id))
        span.set_attribute("refunds.store_id", store_id)
        if traceparent:
            carrier = {"traceparent": traceparent}
            found = trace.get_current_span(TraceContextTextMapPropagator().extract(carrier))
            span.add_link(found.get_span_context())

    def called(self, call: WixCall) -> None:
        """Make the span of a call; it is a part of the step, if there is one."""
        ended_ns = time.time_ns()
        span = self._tracer.start_span(
            f"{call.method} {call.endpoint}",
            kind=SpanKind.CLIENT,
            start_time=ended_ns - round(call.seconds * 1e9),
        )
        _describe(span, call)
        span.end(ended_ns)

    def saw_event(self, event: str, fields: Mapping[str, object]) -> None:
        """Say how the step ended."""
        if not event.startswith("step."):
            return
        span = trace.get_current_span()
        span.set_attribute("refunds.result", event.removeprefix("step."))
        if reason := fields.get("reason"):
            span.set_attribute("refunds.reason", redact_text(str(reason)))
        if event == "step.dead":
            span.set_status(StatusCode.ERROR)

    def close(self, within_s: float) -> None:
        """Send what waits, but give up after *within_s*."""
        last = threading.Thread(target=self._provider.shutdown, name="spans", daemon=True)
        last.start()
        last.join(within_s)


def _describe(span: Span, call: WixCall) -> None:
    """Set the attributes that the conventions for HTTP clients name."""
    parts = urlsplit(call.url)
    span.set_attribute("http.request.method", call.method)
    span.set_attribute("url.full", redact_text(call.url.partition("?")[0]))
    span.set_attribute("server.address", parts.hostname or "")
    span.set_attribute("server.port", parts.port or (443 if parts.scheme == "https" else 80))
    if call.request_id:
        span.set_attribute("refunds.wix_request_id", call.request_id)
    if call.result.isdigit():
        span.set_attribute("http.response.status_code", int(call.result))
    if not call.result.isdigit() or int(call.result) >= _FAILURE:
        span.set_attribute("error.type", call.result)
        span.set_status(StatusCode.ERROR)
