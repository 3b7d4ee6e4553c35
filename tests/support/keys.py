"""What is in Redis, as flat text: to compare it before and after a write."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from tests.support.rig import STORE_ID, Rig

#: The value of something that was removed.
GONE = None
#: Keys that are written by the clock alone, or count something for people.
_IGNORED = {"clock", "fence", "arrivals", "confirmations", "audit_head"}
#: Counters of the present minute and day, and since the beginning.
_COUNTERS = ("minute:", "day:", "totals")
#: Texts that are different in each run.
_MADE = {re.compile("^[0-9a-f]{32}$"): "NONCE", re.compile("^[0-9a-f]{64}$"): "DIGEST"}
#: An older time is shown as a number.
LONG_AGO_MS = 10**9


def change(rig: Rig, act: Callable[[], object], **names: str) -> dict[str, Any]:
    """Return what *act* changes in Redis: the new value of each place, `GONE` if it is removed.

    A place is a key, "KEY.FIELD" of a hash, or "KEY>MEMBER" of a set. Times are written as minutes
    from now. *names* replace ids.
    """
    before = _places(rig, names)
    act()
    after = _places(rig, names)
    removed = {place: GONE for place in before if place not in after}
    return removed | {place: v for place, v in after.items() if before.get(place) != v}


def _places(rig: Rig, names: dict[str, str]) -> dict[str, Any]:
    clock = rig.redis.time()
    now_ms = clock[0] * 1000 + clock[1] // 1000
    ids = {STORE_ID: "STORE", rig.broker.broker_id: "ME"} | {i: name for name, i in names.items()}
    found: dict[str, Any] = {}
    for key in rig.redis.scan_iter(f"{rig.ledger.ns}:*", count=1_000):
        name = _renamed(key.removeprefix(f"{rig.ledger.ns}:"), ids)
        if name not in _IGNORED and not name.startswith(_COUNTERS):
            for place, value in _places_of(rig, key, name):
                found[_renamed(place, ids)] = _shown(value, ids, now_ms)
    return found


def _places_of(rig: Rig, key: str, name: str) -> list[tuple[str, Any]]:
    kind = rig.redis.type(key)
    if kind == "hash":
        return [(f"{name}.{field}", v) for field, v in rig.redis.hgetall(key).items()]
    if kind == "zset":
        return [
            (f"{name}>{member}", v) for member, v in rig.redis.zrange(key, 0, -1, withscores=True)
        ]
    if kind == "set":
        return [(f"{name}>{member}", True) for member in rig.redis.smembers(key)]
    if kind == "list":
        return [(name, [_event(line) for line in rig.redis.lrange(key, 0, -1)])]
    if kind == "stream":
        lines = [json.loads(x.get("event") or x["entry"]) for _, x in rig.redis.xrange(key)]
        return [(name, [line.get("type") or line["act"] for line in lines])]
    return [(name, rig.redis.get(key))]


def _event(line: str) -> str:
    return str(json.loads(line)["event"]) if line.startswith("{") else line


def _renamed(text: str, ids: dict[str, str]) -> str:
    for each, name in ids.items():
        text = text.replace(each, name)
    return text


def _shown(value: Any, ids: dict[str, str], now_ms: int) -> Any:
    """Return a value without what is different in each run."""
    if isinstance(value, list):
        return [_renamed(item, ids) for item in value]
    if isinstance(value, bool):
        return value
    text = _renamed(f"{value:.0f}" if isinstance(value, float) else value, ids)
    if text.startswith("{"):
        return _shown_json(json.loads(text), now_ms)
    for pattern, name in _MADE.items():
        text = pattern.sub(name, text)
    return _shown_number(int(text), now_ms) if text.isdecimal() else text


def _shown_json(held: dict[str, Any], now_ms: int) -> Any:
    if "queue_name" in held:
        ids = {held["message_id"], held["options"]["redis_message_id"]}
        when = _shown_number(int(held["message_timestamp"]), now_ms)
        return f"{held['actor_name']} {' '.join(held['args'])} {' '.join(sorted(ids))} {when}"
    return "REQUEST" if "refund_id" in held else held


def _shown_number(number: int, now_ms: int) -> int | str:
    if number < now_ms - LONG_AGO_MS:
        return number
    minutes = round((number - now_ms) / 60_000)
    return f"now {minutes:+d} min" if minutes else "now"
