"""Cleans what people paste: site ID, account ID and API key (pure).

Every change is reported, but no value is repeated. The typical mistakes are in W9.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

#: Soft hyphen, zero-width spaces and joiners, direction marks, word joiner, byte order mark.
_INVISIBLE = re.compile("[\u00ad\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff]")
#: Quotes of any kind, and characters that values are often wrapped in or followed by.
_WRAPPING = "\"'`<>,;\u00b4\u2018\u2019\u201a\u201c\u201d\u201e\u00ab\u00bb\u2039\u203a"
_BEARER = re.compile(r"^bearer[\s:]+", re.IGNORECASE)
_DASHBOARD = re.compile(r"/dashboard/([0-9a-f-]{36})(?:[/?#]|$)", re.IGNORECASE)
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_KEY_FORMAT = re.compile(r"IST\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
#: Characters that an HTTP header may contain. Wix does not document the format of its keys, so a
#: key in another format than `_KEY_FORMAT` is accepted with a warning.
_SENDABLE = re.compile(r"[!-~]+")
_ODD_KEY = "The API Key does not look like Wix's keys (IST. and three parts); is it complete?"


@dataclass(frozen=True, kw_only=True)
class Pasted:
    """The three values that a merchant provides, cleaned."""

    site_id: str
    account_id: str
    api_key: str = field(repr=False)
    cleaned: tuple[str, ...]
    """What was changed, in sentences."""
    problems: tuple[str, ...]
    """Why the values cannot be used."""
    warnings: tuple[str, ...]


def clean(*, site_id: str, account_id: str, api_key: str, any_account: bool = False) -> Pasted:
    """Clean and check the three values; ids become lower case, which is not reported.

    With *any_account*, the Account ID need not be a UUID.
    """
    notes: list[str] = []
    key = _strip("API Key", api_key, notes)
    if prefix := _BEARER.match(key):
        notes.append("API Key: removed a leading “Bearer”")
        key = key[prefix.end() :]
    key = _join("API Key", key, notes)
    site = _strip("Site ID", site_id, notes)
    if address := _DASHBOARD.search(site):
        notes.append("Site ID: taken from the dashboard's URL")
        site = address[1]
    site = _join("Site ID", site, notes).lower()
    account = _join("Account ID", _strip("Account ID", account_id, notes), notes).lower()
    return Pasted(
        site_id=site,
        account_id=account,
        api_key=key,
        # If the key is empty, that is all there is to say about it.
        cleaned=tuple(note for note in notes if key or not note.startswith("API Key")),
        problems=tuple(_problems(site, account, key, any_account=any_account)),
        warnings=() if not key or _KEY_FORMAT.fullmatch(key) else (_ODD_KEY,),
    )


def _problems(site: str, account: str, key: str, *, any_account: bool) -> list[str]:
    found = []
    for name, value in (("Site ID", site), ("Account ID", account)):
        if not value:
            found.append(f"the {name} is empty")
        elif not (any_account and value is account) and not _UUID.fullmatch(value):
            found.append(f"the {name} is not a UUID (8-4-4-4-12 hexadecimal digits)")
    if not key:
        found.append("the API Key is empty")
    elif not _SENDABLE.fullmatch(key):
        found.append("the API Key contains characters that no key has; copy it again")
    if site and site == account:
        found.append("the Site ID and the Account ID are the same; they are two different ids")
    return found


def _strip(name: str, text: str, notes: list[str]) -> str:
    """Remove invisible characters, and surrounding space and quotes."""
    visible = _INVISIBLE.sub("", text)
    if visible != text:
        notes.append(f"{name}: removed invisible characters")
    # str.strip() knows every kind of space, including the no-break space.
    trimmed = visible.strip()
    if trimmed != visible:
        notes.append(f"{name}: removed spaces or line breaks around it")
    bare = trimmed.strip(_WRAPPING).strip()
    if bare != trimmed:
        notes.append(f"{name}: removed quotes around it")
    return bare


def _join(name: str, text: str, notes: list[str]) -> str:
    """Remove space inside a value."""
    joined = "".join(text.split())
    if joined != text:
        notes.append(f"{name}: removed spaces or line breaks inside it")
    return joined
