"""How a log event is written: JSON with our names, or with those of a log platform; one line each.

`refunds logs` reads all of them back.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable, Mapping
from importlib.metadata import version
from types import MappingProxyType
from typing import Any, Literal

Format = Literal["json", "gcp", "ecs"]

#: What Google Cloud calls our levels.
_SEVERITIES: Mapping[str, str] = MappingProxyType(
    {"debug": "DEBUG", "info": "INFO", "warning": "WARNING", "error": "ERROR"}
)
#: The names of the Elastic Common Schema for ours. All other fields go into the object `refunds`.
_ECS: Mapping[str, str] = MappingProxyType(
    {
        "timestamp": "@timestamp",
        "level": "log.level",
        "event": "event.action",
        "version": "service.version",
        "host": "host.hostname",
        "pid": "process.pid",
        "thread": "process.thread.name",
        "error": "error.message",
        "stack": "error.stack_trace",
        "http_status": "http.response.status_code",
        "logger": "log.logger",
    }
)
_ECS_OBJECT = "refunds"
_ECS_ALWAYS: Mapping[str, str] = MappingProxyType(
    {"ecs.version": "8.11.0", "service.name": "wix-refund-worker"}
)

#: What each line says about the process that wrote it.
Process = Mapping[str, str | int]


def this_process() -> Process:
    """Return the version, the host and the process id."""
    return {
        "version": version("wix-refund-worker"),
        "host": socket.gethostname()[:100],
        "pid": os.getpid(),
    }


def renderer(chosen: Format, process: Process) -> Callable[[Mapping[str, Any]], str]:
    """Return what writes one event as one line of JSON, without the line's end."""
    if chosen == "ecs":
        return lambda event: encoded(_as_ecs({**event, **process}))
    # Added as text: it is the same for each line.
    tail = ", " + encoded(process)[1:]
    if chosen == "gcp":
        return lambda event: (
            encoded({"severity": _SEVERITIES.get(event.get("level", ""), "DEFAULT"), **event})[:-1]
            + tail
        )
    return lambda event: encoded(event)[:-1] + tail


def encoded(value: Mapping[str, Any]) -> str:
    """Return one line of JSON. NaN and infinite numbers, which JSON lacks, become texts."""
    try:
        return _ENCODER.encode(value)
    except ValueError:
        return _ENCODER.encode(json.loads(json.dumps(value), parse_constant=str))


_ENCODER = json.JSONEncoder(allow_nan=False)


def _as_ecs(event: Mapping[str, Any]) -> dict[str, Any]:
    named = {_ECS[name]: value for name, value in event.items() if name in _ECS}
    named["message"] = event.get("event", "")
    ours = {name: value for name, value in event.items() if name not in _ECS}
    return {**named, **_ECS_ALWAYS, **({_ECS_OBJECT: ours} if ours else {})}


def read_line(line: str) -> dict[str, Any] | None:
    """Return the event that one of the formats wrote, with our names; None if it is no event."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict):
        return None
    if _ECS["event"] in found:
        ours = found.get(_ECS_OBJECT)
        back = {name: found[theirs] for name, theirs in _ECS.items() if theirs in found}
        return {**(ours if isinstance(ours, dict) else {}), **back}
    if not isinstance(found.get("event"), str):
        return None
    found.pop("severity", None)
    return found
