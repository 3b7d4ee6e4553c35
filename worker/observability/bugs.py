"""Reports bugs to Sentry (the extra `sentry`), if SENTRY_DSN is set: nothing else, and no job.

A report says where the program failed: types and places, no text of an error, no variable, no id.
"""

from __future__ import annotations

import atexit
import re
from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.metadata import version
from typing import Any

from worker.observability.context import bound_fields
from worker.observability.events import log_event, observe
from worker.observability.redaction import register_secrets

#: How long the last reports may take when the program ends.
LAST_REPORTS_S = 1.0
#: The reason code of what fails because of us.
OURS = "worker_error"
_EVENTS = {"worker.bug", "worker.crashed", "api.bug", "console.bug"}
#: What `type_and_place` and `stack_of` return; anything else is not sent.
_PLACE = re.compile(r"(\w{1,100}) at ([\w.<>-]{1,200}:\d+|an unknown place)")
_CALL = re.compile(r"([\w.<>-]{1,200}):(\d+) ([\w.<>]{1,200})")

#: Sends one report.
Capture = Callable[[dict[str, Any]], object]


def report_bugs(environ: Mapping[str, str]) -> None:
    """Send bugs from now on, if the variable is set."""
    if not (dsn := environ.get("SENTRY_DSN")):
        return
    register_secrets([dsn])
    try:
        sentry = import_module("sentry_sdk")
    except ImportError:
        log_event("extra.missing", variable="SENTRY_DSN", extra="sentry")
        return
    try:
        client = client_of(sentry, dsn, environ)
    except ValueError:  # its text has parts of the address
        log_event("extra.refused", variable="SENTRY_DSN", extra="sentry")
        return
    atexit.register(client.close, timeout=LAST_REPORTS_S)
    observe(reporter(client.capture_event))


def client_of(sentry: Any, dsn: str, environ: Mapping[str, str], **more: Any) -> Any:
    """Return a client that adds nothing by itself: no variables, requests, or log lines."""
    return sentry.Client(
        dsn,
        release=environ.get("SENTRY_RELEASE")
        or f"wix-refund-worker@{version('wix-refund-worker')}",
        default_integrations=False,
        auto_enabling_integrations=False,
        include_local_variables=False,
        include_source_context=False,
        max_breadcrumbs=0,
        **more,
    )


def reporter(capture: Capture) -> Callable[[str, Mapping[str, Any]], None]:
    """Return what is told of each log event, and reports those that are bugs."""

    def saw_event(event: str, fields: Mapping[str, Any]) -> None:
        if event in _EVENTS or fields.get("reason") == OURS:
            capture(_report(event, fields))

    return saw_event


def _report(event: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    found = _PLACE.fullmatch(str(fields.get("error", "")))
    kind, place = (found[1], found[2]) if found else ("", "")
    known = bound_fields()
    step = fields.get("transition") or known.get("actor") or ""
    return {
        "level": "error",
        "logger": event,
        "fingerprint": [kind, place] if found else [event],
        "tags": {"event": event, "step": str(step)},
        "exception": {
            "values": [
                {
                    "type": kind or event,
                    "value": f"at {place}" if place else "",
                    "stacktrace": {"frames": _frames(str(fields.get("stack", "")))},
                }
            ]
        },
    }


def _frames(stack: str) -> list[dict[str, Any]]:
    """Return Sentry's frames, the outermost first."""
    calls = [found for each in stack.split(" < ") if (found := _CALL.fullmatch(each))]
    return [
        {"filename": call[1], "lineno": int(call[2]), "function": call[3], "in_app": True}
        for call in reversed(calls)
    ]
