"""Redaction: the one place that knows what a secret looks like.

A text is masked by one of three rules: it was registered as a secret, its field has exactly the
name of a secret, or it looks like one (Wix keys, bearer tokens, email addresses, passwords in
URLs). A part of a name says nothing: `cart_token` and `email_campaign` are the caller's data. The
format of Wix's keys: W9.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

MASK = "[redacted]"

#: Names of fields that hold a secret, without separators and in lower case.
_NAMES = frozenset(
    {
        "authorization", "proxyauthorization", "cookie", "setcookie", "credentials",
        "apikey", "xapikey", "privatekey", "vaultkey", "vaultkeys", "refundsvaultkeys",
        "refundsstores", "password", "passwd", "passphrase", "pwd", "secret", "clientsecret",
        "token", "accesstoken", "authtoken", "bearertoken", "refreshtoken", "email",
    }
)  # fmt: skip
#: Fields that hold our own sentences about other fields, by the names of these.
_SENTENCES = frozenset({"problems"})
_SEPARATORS = str.maketrans("", "", "-_. ")
_SHAPES = re.compile(
    r"IST\.[A-Za-z0-9_.\-]{6,}"
    r"|eyJ[A-Za-z0-9_\-]{10,}(?:\.[A-Za-z0-9_\-]*)*"
    r"|(?i:bearer)\s+[^\s\"',]{6,}"
    # Matches only at the start of a word: otherwise a long word would take quadratic time.
    r"|(?<![\w.%+\-])[\w.%+\-]+(?:@|%40)[\w\-]+(?:\.[\w\-]+)+"
    r"|(?<=://)[^/\s:@]*:[^/\s@]+(?=@)"
)

#: Registered secrets; shorter ones are not registered, because they would mask harmless text.
_VALUES: set[str] = set()
_MIN_LENGTH = 8


def register_secrets(values: Iterable[str]) -> None:
    """Mask these values from now on, whatever they look like.

    Values that are masked because of their format are not registered: every registered value makes
    every log line slower, and there may be a thousand stores.
    """
    _VALUES.update(v for v in values if len(v) >= _MIN_LENGTH and not _SHAPES.fullmatch(v))


def redact_text(text: str) -> str:
    """Mask every secret in a text, and replace lone surrogates by a question mark.

    Lone surrogates cannot be encoded as UTF-8, and a masked text is about to be written.
    """
    if not text.isascii():
        text = text.encode("utf-8", "replace").decode()
    for value in _VALUES:
        text = text.replace(value, MASK)
    return _SHAPES.sub(MASK, text)


def _names_a_secret(name: str) -> bool:
    return name.translate(_SEPARATORS).lower() in _NAMES


def redact(value: Any, name: str = "") -> Any:
    """Mask every secret in a JSON-like value; *name* is the name of the field that contains it."""
    if isinstance(value, str | bytes) and _names_a_secret(name):
        return MASK if value else value
    if isinstance(value, str):
        return redact_text(value)
    if isinstance(value, Mapping):
        return {
            redact_text(key) if isinstance(key, str) else key: redact(
                inner, "" if name in _SENTENCES else str(key)
            )
            for key, inner in value.items()
        }
    if isinstance(value, list | tuple):
        return [redact(inner, name) for inner in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    return redact_text(str(value))
