"""Logs have one format, one table of events, and no secrets."""

from __future__ import annotations

import io
import json
import logging

import pytest
import structlog

from tests.support.logs import restored_logging
from worker.observability.events import EVENTS, events_table, log_event
from worker.observability.foreign import FromDramatiq
from worker.observability.logs import configure_logs
from worker.observability.redaction import MASK, redact, redact_text, register_secrets


def _lines(log: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in log.getvalue().splitlines()]


def test_an_event_is_one_json_line_with_its_context(log: io.StringIO) -> None:
    """Fields that are bound once are on every line."""
    with structlog.contextvars.bound_contextvars(refund_id="rf-1"):
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
    assert not FromDramatiq().filter(made("dramatiq.x", 40, "a.py", 1, template, given, None))
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


@pytest.mark.parametrize(
    "text",
    [
        "IST.eyJraWQi.eyJkYXRh.c2ln",
        "Authorization: Bearer abcdef123456",
        "mail buyer@example.co.uk now",
        "redis://user:hunter22@host:6379/0",
        "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl",
    ],
)
def test_what_looks_like_a_secret_is_masked(text: str) -> None:
    """Keys, tokens, addresses and passwords have known formats."""
    masked = redact_text(text)
    assert MASK in masked
    for part in ("eyJ", "abcdef", "buyer@", "hunter22"):
        assert part not in masked


@pytest.mark.parametrize(
    "mail",
    [
        *(
            "bob@münchen.de",
            "jörg@example.com",
            "bob%40example.com",
            "bob@例え.jp",
            "a.b+c@x.co.uk",
        ),
        *('"bob smith"@example.com', '"bob@home"@example.com', '\\"bob smith\\"@example.com'),
        *("user@localhost", "root@mail-1", "bob@[127.0.0.1]", '"bob"%40localhost'),
    ],
)
def test_every_email_address_is_masked_as_a_whole(mail: str) -> None:
    """In other scripts, in percent-encoding, with a quoted name, and without a dot."""
    assert redact_text(f"for {mail} only") == f"for {MASK} only"


def test_a_lone_surrogate_is_replaced() -> None:
    """It cannot be encoded as UTF-8, so writing it would fail."""
    assert redact_text("cut \ud83d off") == "cut ? off"


@pytest.mark.parametrize(
    "part", ["x", "a.", "a%40", "a.b@", '"', '"a', "@[", "eyJa.", "bearer ", "://:"]
)
def test_a_very_long_text_is_masked_in_linear_time(part: str) -> None:
    """In quadratic time it would take days and block all threads."""
    assert redact_text(part * 500_000)


def test_a_field_with_the_name_of_a_secret_is_masked_at_any_depth() -> None:
    """Whatever its value looks like."""
    value = {"a": [{"api_key": "plain", "Authorization": "x"}], "email": "", "attempt": 3}
    masked = redact(value)
    assert masked == {"a": [{"api_key": MASK, "Authorization": MASK}], "email": "", "attempt": 3}


@pytest.mark.parametrize(
    ("name", "is_secret"),
    [
        ("password", True),
        ("api_key", True),
        ("apiKey", True),
        ("API-Key", True),
        ("x-api-key", True),
        ("Authorization", True),
        ("token", True),
        ("access_token", True),
        ("REFUNDS_VAULT_KEYS", True),
        ("REFUNDS_STORES", True),
        ("stores", False),
        ("tokens", False),
        ("checkout_token", False),
        ("secretary", False),
        ("password_changed", False),
        ("monkey", False),
    ],
)
def test_a_field_is_masked_by_its_exact_name(name: str, is_secret: bool) -> None:
    """Whatever its capitals and separators are; a part of a name says nothing."""
    assert redact({name: "plain"}) == {name: MASK if is_secret else "plain"}


def test_what_is_wrong_with_a_field_can_be_read() -> None:
    """The sentence does not contain the value, whatever the name of the field."""
    problems = {"problems": {"token": "there is no such field"}}
    assert redact(problems) == problems


def test_registered_values_are_masked_everywhere() -> None:
    """A secret need not look like one; values that are too short are not registered."""
    register_secrets(["correct horse", "short"])
    assert redact_text("a correct horse, short") == f"a {MASK}, short"
    assert redact({"x": object, "y": None, "z": True})["y"] is None


def test_each_part_of_a_registered_key_is_masked() -> None:
    """A key may be cut or wrapped; what is left of it is still a secret."""
    register_secrets(["IST.the_head_of-it.the-payload99.theSignature_0-1"])
    text = "payload=the-payload99, then theSignature_0-1\nand the_head_of-it."
    assert redact_text(text) == f"payload={MASK}, then {MASK}\nand {MASK}."
    assert redact_text("xtheSignature_0-1x the-payload9") == "xtheSignature_0-1x the-payload9"


def test_ids_and_amounts_stay_readable() -> None:
    """People on call need them."""
    innocent = "4b296c48-0000-4000-8000-000000000001 rf-2024-000123~4 101.40 USD get_order HTTP 503"
    assert redact_text(innocent) == innocent


def test_the_table_for_the_readme_holds_every_event() -> None:
    """Every event can be looked up."""
    for name in EVENTS:
        assert f"| `{name}` |" in events_table()
