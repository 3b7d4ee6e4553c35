"""What people paste, made into what Wix takes (pure). Every change is told, no value is repeated.

W9.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

#: Soft hyphen, zero-width spaces and joiners, direction marks, word joiner, byte order mark.
_INVISIBLE = re.compile("[\u00ad\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff]")
#: Quotes of any kind, and what a value is often wrapped in or followed by.
_WRAPPING = "\"'`<>,;\u00b4\u2018\u2019\u201a\u201c\u201d\u201e\u00ab\u00bb\u2039\u203a"
_BEARER = re.compile(r"^bearer[\s:]+", re.IGNORECASE)
_DASHBOARD = re.compile(r"/dashboard/([0-9a-f-]{36})(?:[/?#]|$)", re.IGNORECASE)
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_KEY_SHAPE = re.compile(r"IST\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
#: What may stand in an HTTP header: no such key was ever seen, but Wix does not document the shape.
_SENDABLE = re.compile(r"[!-~]+")


@dataclass(frozen=True, kw_only=True)
class Pasted:
    """The three things that a merchant hands over, cleaned."""

    site_id: str
    account_id: str
    api_key: str = field(repr=False)
    cleaned: tuple[str, ...]
    """What was changed, in sentences."""
    problems: tuple[str, ...]
    """Why they cannot be used."""
    warnings: tuple[str, ...]


def clean(*, site_id: str, account_id: str, api_key: str) -> Pasted:
    """Clean and check the three; upper case becomes lower case without a word."""
    notes: list[str] = []
    key = _strip("API Key", api_key, notes)
    if bare := _BEARER.match(key):
        notes.append("API Key: removed a leading “Bearer”")
        key = key[bare.end() :]
    key = _without_gaps("API Key", key, notes)
    site = _strip("Site ID", site_id, notes)
    if address := _DASHBOARD.search(site):
        notes.append("Site ID: taken out of the dashboard's address")
        site = address[1]
    site = _without_gaps("Site ID", site, notes).lower()
    account = _without_gaps("Account ID", _strip("Account ID", account_id, notes), notes).lower()
    return Pasted(
        site_id=site,
        account_id=account,
        api_key=key,
        # Of a key that is empty it is enough to say that.
        cleaned=tuple(note for note in notes if key or not note.startswith("API Key")),
        problems=tuple(_problems(site, account, key)),
        warnings=() if not key or _KEY_SHAPE.fullmatch(key) else (_ODD_KEY,),
    )


_ODD_KEY = "The API Key does not look like Wix's keys (IST. and three parts); is it complete?"


def _problems(site: str, account: str, key: str) -> list[str]:
    found = []
    for name, value in (("Site ID", site), ("Account ID", account)):
        if not value:
            found.append(f"the {name} is empty")
        elif not _UUID.fullmatch(value):
            found.append(f"the {name} is not a UUID (8-4-4-4-12 hexadecimal digits)")
    if not key:
        found.append("the API Key is empty")
    elif not _SENDABLE.fullmatch(key):
        found.append("the API Key holds characters that no key has; copy it again")
    if site and site == account:
        found.append("the Site ID and the Account ID are the same; they are two different ids")
    return found


def _strip(name: str, text: str, notes: list[str]) -> str:
    """Without invisible characters, outer space and quotes."""
    visible = _INVISIBLE.sub("", text)
    if visible != text:
        notes.append(f"{name}: removed invisible characters")
    # str.strip knows every kind of space, also the non-breaking one.
    trimmed = visible.strip()
    if trimmed != visible:
        notes.append(f"{name}: removed spaces or line breaks around it")
    bare = trimmed.strip(_WRAPPING).strip()
    if bare != trimmed:
        notes.append(f"{name}: removed quotes around it")
    return bare


def _without_gaps(name: str, text: str, notes: list[str]) -> str:
    joined = "".join(text.split())
    if joined != text:
        notes.append(f"{name}: removed spaces or line breaks inside it")
    return joined
