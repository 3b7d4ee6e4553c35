"""Tables for people: ids are never wrapped, however narrow the terminal is."""

from __future__ import annotations

import pytest

from worker.cli.output import print_table

ORDER, STORE = "67668940-527d-4465-94c6-5475d8c7a412", "4b296c48-0000-4000-8000-000000000001"
ROWS: list[dict[str, str | None]] = [
    {"refund_id": "rf-1", "order_id": ORDER, "store_id": STORE, "sentence": "It failed. " * 9},
    {"refund_id": "rf-2", "order_id": ORDER, "store_id": STORE, "sentence": None},
]
COLUMNS = ("refund_id", "order_id", "store_id", "sentence")


@pytest.mark.parametrize("width", [40, 80, 99, 100, 120, 200, 1000])
def test_ids_are_never_broken(width: int, capsys: pytest.CaptureFixture[str]) -> None:
    """Each is complete on one line, so that it can be copied."""
    print_table(ROWS, COLUMNS, width=width)
    text = capsys.readouterr().out
    assert text.count(ORDER) == 2
    assert text.count(STORE) == 2


def test_a_table_that_does_not_fit_becomes_blocks(capsys: pytest.CaptureFixture[str]) -> None:
    """One name and value per line, an empty line between rows; empty fields are left out."""
    print_table(ROWS[1:], COLUMNS, width=80)
    assert capsys.readouterr().out == (
        f"refund id  rf-2\norder id   {ORDER}\nstore id   {STORE}\n\n"
    )


def test_columns_that_may_be_dropped_go_first(capsys: pytest.CaptureFixture[str]) -> None:
    """In their order, and only as many as necessary."""
    may_drop = ("store_id", "order_id")
    for width, shown in ((120, 4), (80, 3), (40, 2)):
        print_table(ROWS, COLUMNS, may_drop=may_drop, width=width)
        text = capsys.readouterr().out
        assert len(text.splitlines()[0].replace(" id", "_id").split()) == shown
        assert (text.count(STORE), text.count(ORDER)) == (
            2 if shown > 3 else 0,
            2 if shown > 2 else 0,
        )


def test_a_table_that_fits_is_one(capsys: pytest.CaptureFixture[str]) -> None:
    """Prose is wrapped to the width that the ids leave."""
    print_table(ROWS, COLUMNS, width=120)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["refund", "id", "order", "id", "store", "id", "sentence"]
    assert max(map(len, lines)) <= 120


def test_a_terminal_that_is_called_dumb_is_as_wide_as_it_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Rich takes it for 80 columns wide, and would cut ids off."""
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setenv("FORCE_COLOR", "1")
    print_table(ROWS, COLUMNS, width=120)
    assert capsys.readouterr().out.count(STORE) == 2
