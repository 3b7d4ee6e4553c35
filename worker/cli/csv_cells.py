"""Cells of CSV files: a spreadsheet must not take a text for a formula."""

from __future__ import annotations

import re

#: What a formula begins with, also after blanks that a spreadsheet ignores.
_FORMULA = re.compile(r"[\s\x00]*[=+\-@]|[\t\r\n]")
_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?")
#: In front of a text, for a spreadsheet.
_TEXT = "'"


def safe_cell(value: object) -> str:
    """Return a cell for a file that people open in a spreadsheet."""
    text = "" if value is None else str(value)
    return f"{_TEXT}{text}" if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text


def read_cell(text: str) -> str:
    """Return the text of a cell, without the mark that `safe_cell` sets."""
    return text[1:] if text.startswith(_TEXT) and _FORMULA.match(text[1:]) else text
