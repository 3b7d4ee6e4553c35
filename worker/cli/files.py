"""Reading what people write by hand: UTF-8, and JSON without duplicate keys."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any


class Unreadable(ValueError):
    """The text or file cannot be read; the text says why, and repeats none of its content."""


def read_text(place: Path | None) -> str:
    """Return the text of a file, None for standard input, without its byte order mark.

    Raises:
        Unreadable: there is no such file, or it is not in UTF-8.
    """
    try:
        content = place.read_bytes() if place else sys.stdin.buffer.read()
        text = content.decode("utf-8-sig")
    except OSError as error:
        raise Unreadable(f"cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        text = "\0"
    # Latin text in UTF-16 is valid UTF-8 when it has no mark, but with zeros in it.
    if "\0" in text:
        raise Unreadable("is not text in UTF-8; save it in this encoding")
    return text


def read_json(text: str) -> Any:
    """Return the value of a JSON document.

    Raises:
        Unreadable: it is not JSON, or an object has a duplicate key.
    """
    try:
        return json.loads(text, object_pairs_hook=_once)
    except Unreadable:
        raise
    except ValueError as error:
        raise Unreadable(f"is not JSON: {error}") from None
    except RecursionError:
        raise Unreadable("is nested too deeply") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise Unreadable(f"has the key {name[:100]} twice")
        found[name] = value
    return found
