"""Redaction: the one place that knows what a secret looks like.

A text is masked by one of three rules: it was registered as a secret, its field has exactly the
name of a secret, or it looks like one (Wix keys, our tokens, bearer tokens, email addresses,
passwords in URLs). A part of a name says nothing: `cart_token` and `email_campaign` are the
caller's data. The format of Wix's keys: W9.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from enum import Enum
from functools import lru_cache
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
    r"|rfd_[A-Za-z0-9_\-]{10,}"
    r"|eyJ[A-Za-z0-9_\-]{10,}(?:\.[A-Za-z0-9_\-]*)*"
    r"|(?i:bearer)\s+[^\s\"',]{6,}"
    # An email address; its name may be quoted, and its host an IP address. It matches only at the
    # start of a word: otherwise a long word would take quadratic time.
    r"|(?:(?<![\w.%+\-])[\w.%+\-]+|\\?\"[^\"\n]{1,64}\")(?:@|%40)(?:[\w\-]+(?:\.[\w\-]+)*|\[[\w.:]{1,50}\])"
    r"|(?<=://)[^/\s:@]*:[^/\s@]+(?=@)"
)

_KEY = re.compile(r"IST\.[A-Za-z0-9_.\-]+")
#: What a part of a key may look like.
_WORD = re.compile(r"[A-Za-z0-9_\-]{8,}")
#: Registered secrets; shorter ones are not registered, because they would mask harmless text.
_VALUES: set[str] = set()
#: The parts of registered keys.
_PARTS: set[str] = set()
_MIN_LENGTH = 8


def register_secrets(values: Iterable[str]) -> None:
    """Mask these values from now on, whatever they look like.

    Values that are masked because of their format are not searched for: that would make every log
    line slower, and there may be a thousand stores. Only the parts of keys are remembered.
    """
    for value in values:
        if len(value) >= _MIN_LENGTH and not _SHAPES.fullmatch(value):
            _VALUES.add(value)
        if _KEY.fullmatch(value):
            _PARTS.update(part for part in value.split(".")[1:] if len(part) >= _MIN_LENGTH)


def _mask_part(word: re.Match[str]) -> str:
    return MASK if word[0] in _PARTS else word[0]


#: Each format in `_SHAPES` has one of these, or "bearer" in any case.
_MARKS = ("@", "IST.", "eyJ", "://", "rfd_", "%40")
#: To search for so many parts takes less time than to look at each word.
_FEW = 16


def _is_harmless(text: str) -> bool:
    """Whether it surely holds no secret and no lone surrogate; a fast check, and rarely wrong."""
    # With map() the interpreter takes no step of its own for each text that is searched for.
    has = text.__contains__
    if not text.isascii() or any(map(has, _MARKS)) or any(map(has, _VALUES)):
        return False
    if "bearer" in text.lower():
        return False
    if len(_PARTS) <= _FEW:
        return not any(map(has, _PARTS))
    return _PARTS.isdisjoint(_WORD.findall(text))


def redact_text(text: str) -> str:
    """Mask every secret in a text, and replace lone surrogates by a question mark.

    Lone surrogates cannot be encoded as UTF-8, and a masked text is about to be written.
    """
    if _is_harmless(text):
        return text
    if not text.isascii():
        text = text.encode("utf-8", "replace").decode()
    for value in _VALUES:
        text = text.replace(value, MASK)
    text = _SHAPES.sub(MASK, text)
    return _WORD.sub(_mask_part, text) if _PARTS else text


@lru_cache(maxsize=1024)
def _names_a_secret(name: str) -> bool:
    return name.translate(_SEPARATORS).lower() in _NAMES


def redact(value: Any, name: str = "") -> Any:
    """Mask every secret in a JSON-like value; *name* is the name of the field that contains it.

    Of a member of an Enum there remains its value; JSON and a terminal show the same.

    One check of all its texts is enough if none of them holds a secret; *value* itself is returned.
    """
    texts: list[str] = []
    if _collect(value, name, texts) and _is_harmless("\n".join(texts)):
        return value
    return _masked(value, name)


_KEY_IN_JSON = re.compile(r'"([^"]*+)":')
#: Names of fields that say nothing secret; so many at most.
_HARMLESS_NAMES: set[str] = set()
_MOST_NAMES = 10_000


def is_harmless_json(text: str) -> bool:
    """Whether a JSON object surely holds no secret, in a value or by a name: a fast check.

    One with an escaped character may hold one: a secret could have that character.
    """
    if "\\" in text or not _is_harmless(text):
        return False
    names = _KEY_IN_JSON.findall(text)
    if _HARMLESS_NAMES.issuperset(names):
        return True
    if any(map(_names_a_secret, names)):
        return False
    if len(_HARMLESS_NAMES) < _MOST_NAMES:
        _HARMLESS_NAMES.update(names)
    return True


def _collect(value: Any, name: str, texts: list[str]) -> bool:
    """Collect the texts of a value; False if it is not plain JSON, or a name says it is secret."""
    kind = type(value)
    if kind is str:
        texts.append(value)
        return not _names_a_secret(name)
    if kind is dict:
        for key, inner in value.items():
            if type(key) is not str:
                return False
            texts.append(key)
            if type(inner) not in _NUMBERS and not _collect(inner, key, texts):
                return False
        return True
    if kind is list:
        return all(_collect(inner, name, texts) for inner in value)
    return kind in _NUMBERS


#: Types of values that are written as they are.
_NUMBERS = frozenset({bool, int, float, type(None)})


def _masked(value: Any, name: str) -> Any:
    if isinstance(value, Enum):
        return _masked(value.value, name)
    if isinstance(value, str | bytes) and _names_a_secret(name):
        return MASK if value else value
    if isinstance(value, str):
        return redact_text(value)
    if isinstance(value, Mapping):
        return {
            redact_text(key) if isinstance(key, str) else key: _masked(
                inner, "" if name in _SENTENCES else str(key)
            )
            for key, inner in value.items()
        }
    if isinstance(value, list | tuple):
        return [_masked(inner, name) for inner in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    return redact_text(str(value))
