"""Logs have one format, one table of events, and no secrets."""

from __future__ import annotations

import io
import json
import logging
import re
import signal
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, get_args

import pytest

from statemachine.flows import State, Transition
from tests.support.logs import restored_logging
from tests.support.plain_fields import not_plain
from worker.observability.context import bound
from worker.observability.event import Event
from worker.observability.events import EVENTS, events_table, log_event
from worker.observability.foreign import Foreign
from worker.observability.formats import read_line
from worker.observability.logs import Chosen, configure_logs
from worker.observability.redaction import MASK


def _lines(log: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in log.getvalue().splitlines()]


def test_an_event_is_one_json_line_with_its_context(log: io.StringIO) -> None:
    """Fields that are bound once are on every line."""
    with bound(refund_id="rf-1"):
        log_event("step.waiting", why="provider", in_ms=5)
    line = _lines(log)[0]
    assert (line["event"], line["level"], line["refund_id"]) == ("step.waiting", "info", "rf-1")
    assert (line["why"], line["in_ms"]) == ("provider", 5)
    assert str(line["timestamp"]).endswith("Z")


def test_a_line_of_dramatiq_is_one_of_our_events(log: io.StringIO) -> None:
    """Operators need to read only one format."""
    logging.getLogger("dramatiq.worker").warning("lost %s", "redis://u:hunter22@host/0")
    [line] = _lines(log)
    assert (line["event"], line["level"]) == ("worker.dramatiq", "error")
    assert line["text"] == f"lost redis://{MASK}@host/0"
    assert line["logger"] == "dramatiq.worker"


class _Job:
    """Like dramatiq's messages: its text is the whole job."""

    message_id = "m-1"

    def __str__(self) -> str:
        return "request_refund(metadata={'password': 'hunter22'})"


def test_a_line_of_dramatiq_names_a_message_by_its_id(log: io.StringIO) -> None:
    """On one line: neither the whole job nor a traceback."""
    try:
        raise KeyError("hunter22")
    except KeyError:
        logging.getLogger("dramatiq.worker").exception("bug in %s of %r.\nReport it!", _Job(), 7)
    assert log.getvalue().count("\n") == 1
    [line] = _lines(log)
    assert line["text"] == "bug in m-1 of 7."
    assert str(line["error"]).startswith("KeyError at test_logs.py:")
    assert "hunter22" not in log.getvalue()


@pytest.mark.parametrize("template", ["%d of %s", "%s", "100%", "%(name)s", "%s %s %s", "50%% %s"])
def test_no_line_of_dramatiq_breaks_the_log(log: io.StringIO, template: str) -> None:
    """A template that does not fit its arguments is shown as it is."""
    # pytest's own handler would fail on such a record.
    made = logging.getLogger("x").makeRecord
    given = (_Job(), ValueError("hunter22"))
    Foreign().handle(made("dramatiq.x", 40, "a.py", 1, template, given, None))
    [line] = _lines(log)
    assert line["event"] == "worker.dramatiq"
    assert "hunter22" not in log.getvalue()


@pytest.mark.parametrize(
    "template",
    [
        "Failed to process message %s with unhandled exception.",
        "Received message for undefined actor %r. Moving it to the DLQ.",
        "Consumer encountered a connection error: %s",
    ],
)
def test_what_our_events_say_is_not_logged_again(log: io.StringIO, template: str) -> None:
    """Each failed message is one line."""
    logging.getLogger("dramatiq.worker.WorkerThread").error(template, _Job())
    assert log.getvalue() == ""


def test_an_event_that_is_not_in_the_table_cannot_be_logged() -> None:
    """This keeps the table complete."""
    with pytest.raises(KeyError):
        log_event("step.invented")


def test_levels_below_the_chosen_one_are_not_written(log: io.StringIO) -> None:
    """Nor is the INFO line of httpx, at any level."""
    logging.getLogger("httpx").info("HTTP Request")
    logging.getLogger("x").debug("quiet")
    logging.getLogger("worker.actors.request_refund").info("Received args")
    assert log.getvalue() == ""


def test_an_exception_is_logged_without_locals_and_without_secrets(log: io.StringIO) -> None:
    """The text of an exception may contain a key."""
    api_key = "IST.canary.aaaa.bbbb"
    try:
        raise ValueError(f"bad key {api_key}")
    except ValueError:
        logging.getLogger("x").exception("failed")
    text = log.getvalue()
    assert "ValueError" in text
    assert "canary" not in text


def test_the_console_format_has_colours_only_on_a_terminal() -> None:
    """Escape codes make a file hard to read."""
    out = io.StringIO()
    with restored_logging():
        configure_logs("console", "info", out)
        log_event("demo.step", text="hello")
    assert "hello" in out.getvalue()
    assert "\x1b" not in out.getvalue()


def test_a_log_that_cannot_be_written_stops_nothing() -> None:
    """A full disk must not keep a step from committing its result."""

    class Full(io.StringIO):
        """A file on a full disk."""

        def flush(self) -> None:
            """Fail."""
            raise OSError("no space left on device")

    with restored_logging():
        configure_logs("json", "info", Full())
        log_event("demo.step", text="hello")


def test_the_table_for_the_readme_holds_every_event() -> None:
    """Every event can be looked up."""
    for name in EVENTS:
        assert f"| `{name}` |" in events_table()


#: Values of each kind that a field may have, to what all formats show of them.
VALUES: Mapping[str, tuple[Any, Any]] = {
    "state": (State.DEAD, "dead"),
    "transition": (Transition.CANCEL_ORDER, "cancel_order"),
    "amount": (Decimal("5.00"), "5.00"),
    "signal": (signal.SIGTERM, 15),
    "moment": (datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "2026-01-02 03:04:05+00:00"),
}


@pytest.mark.parametrize("chosen", get_args(Chosen))
@pytest.mark.parametrize("event", EVENTS)
def test_a_value_is_written_as_people_write_it(event: str, chosen: Chosen) -> None:
    """Also inside of others, in each format; never as Python spells it."""
    given = {name: value for name, (value, _) in VALUES.items()}
    shown = {name: text for name, (_, text) in VALUES.items()}
    out = io.StringIO()
    with restored_logging():
        configure_logs(chosen, "debug", out)
        log_event(event, **given, before=given, after=[given], also=(given["state"],))
    text = out.getvalue()
    if chosen == "console":
        assert f"before={shown!r}" in text
        assert f"after=[{shown!r}]" in text
        assert "state=dead" in text
        assert "also=['dead']" in text
    else:
        line = read_line(text)
        assert line is not None
        expected = {**shown, "before": shown, "after": [shown], "also": ["dead"]}
        assert {name: line[name] for name in expected} == expected
    assert not re.search(r"<\w+\.|Decimal\(|datetime\(", text)


def test_a_field_that_is_not_plain_is_found() -> None:
    """The check of all tests sees what is inside, too."""
    assert list(not_plain({"state": State.DEAD, "n": [1, None, Decimal(1)]}, "before")) == []
    wrong = {"a": [Event("info", "x")], "b": {1, 2}, "c": b"x"}
    found = ["before.a: Event", "before.b: set", "before.c: bytes"]
    assert list(not_plain(wrong, "before")) == found
