"""Secrets never leave: one place that knows what a secret looks like.

Three nets: values we were given as secrets, names that announce a secret, and shapes (Wix keys,
bearer tokens, e-mail addresses, passwords in URLs). Source of the key's shape: wix-api.md 7 [O].
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

MASK = "[redacted]"

_NAMES = re.compile(
    r"authorization|api_?key|password|passwd|secret|token|vault_?keys?|e_?mail|stores$",
    re.IGNORECASE,
)
_SHAPES = re.compile(
    r"IST\.[A-Za-z0-9_.\-]{6,}"
    r"|eyJ[A-Za-z0-9_\-]{10,}(?:\.[A-Za-z0-9_\-]*)*"
    r"|(?i:bearer)\s+[^\s\"',]{6,}"
    # Looked for from the start of a word only: else a long word takes time by its square.
    r"|(?<![\w.%+\-])[\w.%+\-]+(?:@|%40)[\w\-]+(?:\.[\w\-]+)+"
    r"|(?<=://)[^/\s:@]*:[^/\s@]+(?=@)"
)

#: Values that were given to us as secrets; short ones would mask innocent text.
_VALUES: set[str] = set()
_SHORTEST = 8


def register_secrets(values: Iterable[str]) -> None:
    """Never let these values through again, whatever they look like.

    What is masked by its shape needs no entry: a thousand stores must not make every line slow.
    """
    _VALUES.update(v for v in values if len(v) >= _SHORTEST and not _SHAPES.fullmatch(v))


def redact_text(text: str) -> str:
    """Mask every secret in a text; half a character (a lone surrogate) becomes a question mark.

    No UTF-8 could hold it, and what is masked here is about to be written somewhere.
    """
    if not text.isascii():
        text = text.encode("utf-8", "replace").decode()
    for value in _VALUES:
        text = text.replace(value, MASK)
    return _SHAPES.sub(MASK, text)


def redact(value: Any, name: str = "") -> Any:
    """Mask every secret in a JSON-like value; *name* is the name under which it stands."""
    if name and _NAMES.search(name) and isinstance(value, str | bytes):
        return MASK if value else value
    if isinstance(value, str):
        return redact_text(value)
    if isinstance(value, Mapping):
        return {
            redact_text(key) if isinstance(key, str) else key: redact(inner, str(key))
            for key, inner in value.items()
        }
    if isinstance(value, list | tuple):
        return [redact(inner, name) for inner in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    return redact_text(str(value))
