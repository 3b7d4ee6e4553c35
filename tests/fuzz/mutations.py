"""Bytes that nobody should send: what is right, changed by chance, and what never was."""

from __future__ import annotations

import json
import random
import string
from collections.abc import Callable, Sequence
from typing import Any

#: Values in the place of others.
ODD: Sequence[Any] = (
    None, True, 0, -1, 2**63, 10**400, 1e308, "", " ", "\0", "\ud800", "é" * 300, "x" * 70_000,
    [], {}, [[]], {"": {}}, "NaN", "1e9", "2026-13-01T00:00:00Z", "../..", "' OR 1=1", "${x}",
)  # fmt: skip
#: Bytes that have a meaning in what we read.
_SIGNS = b'{}[]",:\\0123456789eE+-.\x00\xff\xc3\r\n %'


def odd_json(chance: random.Random, value: Any) -> Any:
    """Return a document with one part removed, replaced, renamed, nested or repeated."""
    if isinstance(value, dict) and value and chance.random() < 0.8:
        name = chance.choice(list(value))
        changed = dict(value)
        how = chance.randrange(5)
        if how == 0:
            del changed[name]
        elif how == 1:
            changed[name] = chance.choice(ODD)
        elif how == 2:
            changed[chance.choice(string.ascii_letters) * 3] = changed.pop(name)
        else:
            changed[name] = odd_json(chance, value[name])
        return changed
    if isinstance(value, list) and value and chance.random() < 0.8:
        place = chance.randrange(len(value))
        return [
            *value[:place],
            odd_json(chance, value[place]),
            *value[place + chance.randrange(2) :],
        ]
    return _nested(chance) if chance.random() < 0.1 else chance.choice(ODD)


def _nested(chance: random.Random) -> Any:
    found: Any = chance.choice(ODD)
    for _ in range(chance.randrange(1, 60)):
        found = [found] if chance.random() < 0.5 else {"a": found}
    return found


def odd_bytes(chance: random.Random, right: bytes) -> bytes:
    """Return a text with some bytes changed, cut off, repeated or put in."""
    found = bytearray(right)
    for _ in range(chance.randrange(1, 6)):
        place = chance.randrange(len(found) + 1)
        how = chance.randrange(4)
        if how == 0 and place < len(found):
            found[place] = chance.choice(_SIGNS)
        elif how == 1:
            del found[place : place + chance.randrange(1, 40)]
        elif how == 2:
            found[place:place] = found[: chance.randrange(1, 200)]
        else:
            found[place:place] = bytes(chance.choice(_SIGNS) for _ in range(chance.randrange(1, 9)))
    return bytes(found)


def odd_text(chance: random.Random, right: Any) -> bytes:
    """Return a document that is wrong as JSON, wrong in what it says, or no text at all."""
    ways: Sequence[Callable[[], bytes]] = (
        lambda: chance.randbytes(chance.randrange(400)),
        lambda: odd_bytes(chance, json.dumps(right).encode()),
        lambda: json.dumps(odd_json(chance, right)).encode("utf-8", "replace"),
        lambda: json.dumps(odd_json(chance, odd_json(chance, right))).encode("utf-8", "replace"),
    )
    return chance.choices(ways, (1, 4, 6, 4))[0]()


def odd_request(chance: random.Random, path: str, headers: str, body: Any) -> bytes:
    """Return an HTTP request with a strange body, strange headers, or a strange beginning."""
    content = odd_text(chance, body)
    length = len(content) if chance.random() < 0.9 else chance.randrange(10**6)
    method = chance.choice(("POST", "POST", "POST", "GET", "PUT", "X" * 200, ""))
    place = path if chance.random() < 0.7 else odd_bytes(chance, path.encode()).decode("latin-1")
    head = f"{method} {place} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n{headers}\r\n"
    request = head.encode("latin-1", "replace")
    return (odd_bytes(chance, request) if chance.random() < 0.3 else request) + content
