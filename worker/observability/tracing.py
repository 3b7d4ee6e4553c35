"""What is told of each step and of each call to Wix, so that traces can be made of it.

OpenTelemetry is an extra: `otel.py` needs it, this module and the rest of the worker do not.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from importlib import import_module
from typing import NamedTuple, Protocol

from worker.observability.events import log_event

#: One of these says where spans go; they are the SDK's own.
ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")


class WixCall(NamedTuple):
    """One call to Wix that has ended."""

    endpoint: str
    method: str
    url: str
    result: str
    """The HTTP status, or the type of the error."""
    seconds: float
    request_id: str | None = None
    """Wix's id of the call."""


class Tracer(Protocol):
    """Gets what a trace consists of."""

    def step(
        self, transition: str, queue: str, message_id: str
    ) -> AbstractContextManager[object, bool | None]:
        """Enclose one step in the thread that runs it."""

    def about(self, refund_id: str, store_id: str, traceparent: str | None) -> None:
        """Say which refund the step of this thread is for."""

    def called(self, call: WixCall) -> None:
        """Say that this thread has made a call."""

    def saw_event(self, event: str, fields: Mapping[str, object]) -> None:
        """Say how the step of this thread ended."""

    def close(self, within_s: float) -> None:
        """Send what waits, but give up after *within_s*."""


_NOTHING = nullcontext()


class Untraced:
    """Makes no traces."""

    def step(
        self,
        transition: str,  # noqa: ARG002 - see Tracer
        queue: str,  # noqa: ARG002 - see Tracer
        message_id: str,  # noqa: ARG002 - see Tracer
    ) -> AbstractContextManager[None]:
        """Do nothing."""
        return _NOTHING

    def about(self, refund_id: str, store_id: str, traceparent: str | None) -> None:
        """Do nothing."""

    def called(self, call: WixCall) -> None:
        """Do nothing."""

    def saw_event(self, event: str, fields: Mapping[str, object]) -> None:
        """Do nothing."""

    def close(self, within_s: float) -> None:
        """Do nothing."""


UNTRACED = Untraced()


def tracer_from(environ: Mapping[str, str]) -> Tracer:
    """Return a tracer if the SDK's variables name a collector and the extra is installed."""
    named = next((name for name in ENDPOINTS if environ.get(name)), "")
    if not named or environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return UNTRACED
    try:
        otel = import_module("worker.observability.otel")
    except ImportError:
        log_event("extra.missing", variable=named, extra="otel")
        return UNTRACED
    tracer: Tracer = otel.over_http(environ)
    return tracer
