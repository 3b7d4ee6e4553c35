"""What is printed for people is escaped; what is printed for programs is the same data."""

from __future__ import annotations

import io
import json
import sys

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from worker.cli import output
from worker.observability.context import bound
from worker.observability.events import log_event
from worker.observability.logs import configure_logs
from worker.observability.printable import printable, printable_json

#: ESC, OSC, C1 (as one character), DEL, line ends, bidirectional controls, invisible characters.
HOSTILE = (
    "\x1b[2J", "\x1b]52;c;aGk=\x07", "\x9b2J", "\x7f", "a\nb", "a\rb", "\u2028", "\x85", "\x08",
    "\u202e", "\u2066", "\u200f", "\u061c", "\u200b", "\ufeff", "\u00ad", "\U000e0041", "\ue000",
)  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE)
def test_what_a_terminal_obeys_is_escaped(text: str) -> None:
    """The text contains nothing that controls a terminal, and the escape shows what was there."""
    shown = printable(text)
    assert shown.isprintable()
    assert shown.encode().decode("unicode_escape") == text


@pytest.mark.parametrize(
    "text", ["", "rf-2024-000123~1", "Bäckerei 東京　店", "مخبز", "😀 ✓", "1\u00a0000,00", "a\\b"]
)
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    """Names in any script, emoji, and every kind of space."""
    assert printable(text) == text


@given(st.text())
def test_json_is_exact(text: str) -> None:
    """A program reads the same text, and nothing in it controls a terminal."""
    written = printable_json(json.dumps({"text": text}, ensure_ascii=False))
    assert json.loads(written) == {"text": text}
    assert all(printable(line) == line for line in written.split("\n"))


@pytest.mark.parametrize("text", HOSTILE)
def test_every_kind_of_output_is_escaped(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Messages, lines, tables, blocks, records and events, in names as well as in values."""
    row = {"id": f"rf{text}1", "sentence": f"a sentence {text} here"}
    output.say(f"there is no {text}")
    output.print_line(f"{text} replayed")
    output.print_table([row], ("id", "sentence"), width=200)
    output.print_table([row], ("id", "sentence"), width=10)
    output.print_record({"name": text, f"odd{text}": 1, "facts": {text: [text]}, "list": [text]})
    event = {"time": text, "type": text, "subject": text, "data": {"reason": {"reason": text}}}
    output.print_outcome("1-0", event, as_json=False)
    output.print_outcome("1-0", event, as_json=True)
    output.print_json({text: [text]})
    shown = capsys.readouterr()
    for line in (shown.out + shown.err).split("\n"):
        assert printable(line) == line
    assert json.loads(shown.out[shown.out.rindex("\n{\n") :]) == {text: [text]}


def test_a_line_end_from_outside_makes_no_line(capsys: pytest.CaptureFixture[str]) -> None:
    """It could look like a line of the program itself."""
    output.say("refused", "rf-1\nAll refunds match.")
    output.print_table([{"id": "a\nb"}], ("id",))
    shown = capsys.readouterr()
    assert shown.err == "refused\nrf-1\\nAll refunds match.\n"
    assert [line.strip() for line in shown.out.splitlines()] == ["id", "a\\nb"]


@pytest.mark.parametrize("text", HOSTILE)
def test_the_console_log_is_escaped(text: str) -> None:
    """One line for one event, whatever is in its fields."""
    out = io.StringIO()
    configure_logs("console", "info", out)
    with bound(refund_id=text):
        log_event("refund.invalid", problems={text: f"is {text}"})
        log_event("demo.step", text=f"hello {text}")
    structlog.reset_defaults()
    lines = out.getvalue().split("\n")
    assert len(lines) == 3
    assert all(printable(line) == line for line in lines)


@pytest.mark.parametrize("text", HOSTILE)
def test_the_json_log_is_exact(text: str) -> None:
    """One line for one event; a program reads the same text."""
    out = io.StringIO()
    configure_logs("json", "info", out)
    log_event("demo.step", text=text)
    structlog.reset_defaults()
    [line, rest] = out.getvalue().split("\n")
    assert (json.loads(line)["text"], rest, printable(line)) == (text, "", line)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_json_can_be_printed_in_any_encoding(
    encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What standard output cannot encode is escaped as JSON does it."""
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding))
    output.print_json({"name": "Bäckerei 東京 😀"})
    sys.stdout.flush()
    assert json.loads(raw.getvalue().decode(encoding)) == {"name": "Bäckerei 東京 😀"}
