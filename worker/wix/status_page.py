"""What Wix's public status page says: is there an incident, and does it concern payments?

W92: it is a Statuspage; `summary.json` needs no key.
"""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from worker.wix.reach import cause_of

#: Where people read it, and where programs do.
STATUS_PAGE = "https://status.wix.com"
SUMMARY = f"{STATUS_PAGE}/api/v2/summary.json"
#: Words in the names of what refunds depend on.
OURS = ("payment", "store", "commerce", "checkout", "api", "order")
#: How much of an answer is read; it has about 60 kB.
MOST_BYTES = 2_000_000
#: How many incidents and components are named, and how much of a name.
MOST_NAMED, LONGEST_NAME = 3, 100


@dataclass(frozen=True)
class Told:
    """What the page says; or that it could not be read, which says nothing about Wix."""

    is_read: bool
    text: str
    troubles: tuple[str, ...] = ()
    """Incidents and components that concern refunds."""


def look(timeout_s: float, url: str = SUMMARY) -> Told:
    """Read the page, without any key."""
    try:
        found = _read(url, timeout_s)
    except (OSError, http.client.HTTPException, ValueError) as error:
        return Told(
            is_read=False, text=f"{STATUS_PAGE} could not be read from here ({cause_of(error)})"
        )
    status = found.get("status")
    words = status.get("description") if isinstance(status, Mapping) else None
    troubles = tuple(dict.fromkeys(_troubles(found)))
    text = f"{STATUS_PAGE}: {_short(words) or 'no description'}"
    return Told(is_read=True, text=text, troubles=troubles[:MOST_NAMED])


def _read(url: str, timeout_s: float) -> Mapping[str, Any]:
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port
    connection = (
        http.client.HTTPSConnection(
            host, port, timeout=timeout_s, context=ssl.create_default_context()
        )
        if parts.scheme == "https"
        else http.client.HTTPConnection(host, port, timeout=timeout_s)
    )
    try:
        connection.request("GET", parts.path, headers={"Accept": "application/json"})
        answer = connection.getresponse()
        if answer.status != 200:
            raise ValueError(f"HTTP {answer.status}")
        found = json.loads(answer.read(MOST_BYTES))
    finally:
        connection.close()
    if not isinstance(found, dict):
        raise ValueError("no summary")  # noqa: TRY004 - what was read, not how it is called
    return found


def _troubles(found: Mapping[str, Any]) -> Iterator[str]:
    """Yield incidents and components that do not work, if they concern refunds."""
    for incident in _tables(found, "incidents"):
        about = [str(incident.get("name")), *(_names(_tables(incident, "components")))]
        if incident.get("status") not in {"resolved", "postmortem"} and _is_ours(about):
            yield f"incident: {_short(incident.get('name'))} ({_short(incident.get('status'))})"
    components = list(_tables(found, "components"))
    groups = {each.get("id"): str(each.get("name")) for each in components if each.get("group")}
    for each in components:
        group = groups.get(each.get("group_id"), "")
        works = each.get("status") in {"operational", "under_maintenance"} or each.get("group")
        if not works and _is_ours([group, str(each.get("name"))]):
            name = " / ".join(part for part in (group, str(each.get("name"))) if part)
            yield f"{_short(name)} ({_short(each.get('status'))})"


def _tables(found: Mapping[str, Any], name: str) -> Iterator[Mapping[str, Any]]:
    given = found.get(name)
    if isinstance(given, list):
        yield from (each for each in given if isinstance(each, Mapping))


def _names(tables: Iterator[Mapping[str, Any]]) -> list[str]:
    return [str(each.get("name")) for each in tables]


def _is_ours(names: list[str]) -> bool:
    return any(word in name.lower() for name in names for word in OURS)


def _short(text: object) -> str:
    return str(text or "")[:LONGEST_NAME]
