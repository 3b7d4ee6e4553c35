"""The formats of the log: one JSON object a line, with the names that log platforms know."""

from __future__ import annotations

import io
import json
import math
import os
import socket
from importlib.metadata import version
from typing import Any

import pytest

from tests.support.logs import restored_logging
from worker.observability.events import log_event
from worker.observability.formats import read_line
from worker.observability.logs import Chosen, configure_logs


def _logged(chosen: Chosen, **fields: Any) -> str:
    out = io.StringIO()
    with restored_logging():
        configure_logs(chosen, "info", out)
        log_event("step.retry", **fields)
    assert out.getvalue().count("\n") == 1
    return out.getvalue()


PROCESS = {
    "version": version("wix-refund-worker"),
    "host": socket.gethostname(),
    "pid": os.getpid(),
}


def test_each_line_says_once_which_process_wrote_it() -> None:
    """Version, host and process id; numbers stay numbers."""
    text = _logged("json", in_ms=5, http_status=503)
    line = json.loads(text)
    assert {name: line[name] for name in PROCESS} == PROCESS
    assert (line["in_ms"], line["http_status"]) == (5, 503)
    assert all(text.count(f'"{name}"') == 1 for name in ("pid", "host", "version", "timestamp"))


def test_google_cloud_gets_a_severity() -> None:
    """Beside our own names."""
    line = json.loads(_logged("gcp", in_ms=5))
    assert (line["severity"], line["level"], line["event"]) == ("WARNING", "warning", "step.retry")


def test_elastic_gets_its_own_names() -> None:
    """What the schema does not know goes into one object; no name stands for two things."""
    line = json.loads(_logged("ecs", in_ms=5, http_status=503, error="HTTP 503"))
    assert line["@timestamp"].endswith("Z")
    assert (line["log.level"], line["event.action"]) == ("warning", "step.retry")
    assert (line["message"], line["error.message"]) == ("step.retry", "HTTP 503")
    assert (line["http.response.status_code"], line["process.pid"]) == (503, os.getpid())
    assert line["refunds"] == {"in_ms": 5}


@pytest.mark.parametrize("chosen", ["json", "gcp", "ecs"])
def test_each_format_can_be_read_back(chosen: Chosen) -> None:
    """`refunds logs` shows our names, whatever the format is."""
    found = read_line(_logged(chosen, in_ms=5, http_status=503, refund_id="rf-1"))
    assert found is not None
    assert found.pop("timestamp").endswith("Z")
    assert found == PROCESS | {
        "event": "step.retry",
        "level": "warning",
        "in_ms": 5,
        "http_status": 503,
        "refund_id": "rf-1",
    }


@pytest.mark.parametrize("text", ["", "Traceback", "[1]", "3", '{"a": 1}', '{"event": 3}'])
def test_what_is_no_event_is_not_read_as_one(text: str) -> None:
    """It is shown as it is."""
    assert read_line(text) is None


@pytest.mark.parametrize("chosen", ["json", "gcp", "ecs"])
def test_what_json_lacks_does_not_break_a_line(chosen: Chosen) -> None:
    """NaN and infinity are written as texts."""
    line = read_line(_logged(chosen, in_ms=math.nan, attempt=math.inf))
    assert line is not None
    assert (line["in_ms"], line["attempt"]) == ("NaN", "Infinity")


def test_an_event_that_cannot_be_written_stops_no_step() -> None:
    """A number with more digits than Python converts; the line says what was wrong."""
    line = json.loads(_logged("json", in_ms=[10**5000]))
    assert line["event"] == "step.retry"
    assert str(line["problem"]).startswith("ValueError at ")
