"""Outcomes are trimmed by age, but never what a consumer group still needs."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.ages import DAY_MS
from tests.support.commands import refunds
from tests.support.rig import Rig
from worker.operations.trimming import Trimmer

#: The server trims whole nodes, of at most 100 entries.
NODE = 100
GROUP = "shop"


def _fill(rig: Rig, *, days_ago: int, count: int) -> None:
    """Write outcomes that are so old."""
    at_ms = rig.redis.time()[0] * 1000 - days_ago * DAY_MS
    for n in range(count):
        rig.redis.xadd(rig.key("outcomes"), {"event": "{}"}, id=f"{at_ms}-{n + 1}")


def _trim(rig: Rig, *, days: int = 30) -> None:
    given = rig.settings.model_copy(update={"keep_outcomes_days": days})
    moments: Iterator[float] = iter(range(0, 10**9, 10**4))
    trimmer = Trimmer(rig.ledger.keeping, given, lambda: next(moments))
    for _ in range(3):
        trimmer.turn()


def _count(rig: Rig) -> int:
    return int(rig.redis.xlen(rig.key("outcomes")))


def _read(rig: Rig, count: int, group: str = GROUP) -> list[str]:
    """Let a consumer of a group read outcomes; return their positions."""
    answer: Any = rig.redis.xreadgroup(group, "c", {rig.key("outcomes"): ">"}, count=count)
    entries = answer[0][1] if isinstance(answer, list) else answer[rig.key("outcomes")][0]
    return [position for position, _ in entries]


def _events(log: io.StringIO, event: str) -> list[dict[str, Any]]:
    return [x for line in log.getvalue().splitlines() if (x := json.loads(line))["event"] == event]


def test_what_is_older_than_the_setting_is_trimmed(rig: Rig, log: io.StringIO) -> None:
    """What is younger stays, and so does a part of a node of the stream."""
    _fill(rig, days_ago=40, count=5 * NODE)
    _fill(rig, days_ago=20, count=5 * NODE)
    _trim(rig)
    assert 5 * NODE <= _count(rig) < 6 * NODE
    assert _events(log, "outcomes.trimmed")[0]["count"] > 4 * NODE
    _trim(rig, days=10)
    assert _count(rig) < NODE


@pytest.mark.parametrize("read", [0, 250])
def test_what_a_group_has_not_read_stays(rig: Rig, log: io.StringIO, read: int) -> None:
    """And it is told; when the group has read it, it is trimmed."""
    _fill(rig, days_ago=40, count=5 * NODE)
    rig.redis.xgroup_create(rig.key("outcomes"), GROUP, id="0")
    if read:
        rig.redis.xack(rig.key("outcomes"), GROUP, *_read(rig, read))
    _trim(rig)
    assert 5 * NODE - read <= _count(rig) <= 5 * NODE - read // NODE * NODE
    told = _events(log, "outcomes.unread")[0]
    assert (told["group"], told["level"]) == (GROUP, "warning")
    assert told["since_ms"] // DAY_MS == rig.redis.time()[0] // 86_400 - 40
    rig.redis.xack(rig.key("outcomes"), GROUP, *_read(rig, 5 * NODE))
    _trim(rig)
    assert _count(rig) < NODE
    assert json.loads(rig.ledger.keeping.told()["unread"]) == {}


def test_what_a_group_has_read_but_not_acknowledged_stays(rig: Rig) -> None:
    """Its consumer may have crashed before it was done."""
    _fill(rig, days_ago=40, count=5 * NODE)
    rig.redis.xgroup_create(rig.key("outcomes"), GROUP, id="0")
    first, *others = _read(rig, 5 * NODE)
    rig.redis.xack(rig.key("outcomes"), GROUP, *others)
    _trim(rig)
    assert rig.redis.xrange(rig.key("outcomes"), first, first)
    rig.redis.xack(rig.key("outcomes"), GROUP, first)
    _trim(rig)
    assert _count(rig) < NODE


def test_an_outcome_that_is_gone_keeps_nothing(rig: Rig) -> None:
    """Upstream may trim by itself; what was pending then cannot be read any more."""
    _fill(rig, days_ago=40, count=5 * NODE)
    rig.redis.xgroup_create(rig.key("outcomes"), GROUP, id="0")
    first, second, *others = _read(rig, 5 * NODE)
    rig.redis.xack(rig.key("outcomes"), GROUP, *others)
    rig.redis.xdel(rig.key("outcomes"), first, second)
    _fill(rig, days_ago=20, count=1)
    _read(rig, 1)
    _trim(rig)
    assert _count(rig) < NODE + 1


def test_the_slowest_of_several_groups_counts(rig: Rig, log: io.StringIO) -> None:
    """Each that is behind is named."""
    _fill(rig, days_ago=40, count=5 * NODE)
    for name in ("slow", "fast", "new"):
        rig.redis.xgroup_create(rig.key("outcomes"), name, id="$" if name == "new" else "0")
    rig.redis.xack(rig.key("outcomes"), "fast", *_read(rig, 5 * NODE, "fast"))
    _trim(rig)
    assert _count(rig) == 5 * NODE
    assert {event["group"] for event in _events(log, "outcomes.unread")} == {"slow"}


def test_without_a_stream_there_is_nothing_to_trim(rig: Rig, log: io.StringIO) -> None:
    """A new ledger has none."""
    _trim(rig)
    assert not rig.redis.exists(rig.key("outcomes"))
    assert _events(log, "outcomes.trimmed") == []


def test_doctor_and_status_name_the_group(rig: Rig) -> None:
    """With what to do about it."""
    _fill(rig, days_ago=40, count=2)
    rig.redis.xgroup_create(rig.key("outcomes"), GROUP, id="0")
    _trim(rig)
    told = json.loads(refunds(rig, "doctor", "--json").stdout)
    found = {finding["check"]: finding for finding in told["findings"]}["outcomes"]
    assert (found["verdict"], GROUP in found["text"]) == ("warning", True)
    assert f"XGROUP DESTROY {rig.key('outcomes')} {GROUP}" in found["what_to_do"]
    status = json.loads(refunds(rig, "status", "--json").stdout)
    assert status["outcomes"]["count"] == 2
    assert any(GROUP in need["text"] for need in status["needs"])


def test_what_a_webhook_has_not_come_to_stays(rig: Rig, log: io.StringIO) -> None:
    """While a worker has it in its settings; a week later it needs nothing."""
    rig.ledger.webhooks.open("shop", "me")
    _fill(rig, days_ago=40, count=5 * NODE)
    _trim(rig)
    assert _count(rig) == 5 * NODE
    assert _events(log, "outcomes.unread")[0]["group"] == "webhook shop"
    [(last, _)] = rig.redis.xrevrange(rig.key("outcomes"), count=1)
    rig.ledger.webhooks.note("shop", "me", fields={"cursor": last})
    _trim(rig)
    assert _count(rig) < NODE
    _fill(rig, days_ago=39, count=5 * NODE)
    rig.redis.zadd(rig.key("webhooks"), {"shop": 1})
    _trim(rig)
    assert _count(rig) < NODE


def test_doctor_names_the_webhook(rig: Rig) -> None:
    """Its command is another one."""
    rig.ledger.webhooks.open("shop", "me")
    _fill(rig, days_ago=40, count=2)
    _trim(rig)
    told = json.loads(refunds(rig, "doctor", "--json").stdout)
    found = {finding["check"]: finding for finding in told["findings"]}["outcomes"]
    assert "the webhook shop has not processed those of 40 days ago" in found["text"]
    assert found["what_to_do"] == "refunds webhooks list shop"
    assert "the webhook shop" in refunds(rig, "status").stdout
