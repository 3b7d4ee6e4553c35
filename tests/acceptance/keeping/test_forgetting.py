"""A finished refund goes to the archive, and then the ledger keeps only a tombstone."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from statemachine.flows import State
from tests.support.ages import age, day_ago, finished, keep, keeper
from tests.support.memory import bytes_of
from tests.support.rig import AFTER, ANN, BEFORE, STORE_ID, Rig, settings_for
from worker.ledger.search import Search
from worker.operations.archive.entry import archived_from
from worker.operations.archive.folder import Folder
from worker.simulator import Simulator


def _archived(archive: Path) -> list[dict[str, Any]]:
    folder = Folder(archive)
    texts = [t for day in folder.days() for p in folder.files(day) for t in folder.lines(p)]
    return [json.loads(text) for text in texts]


def _lines(log: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.getvalue().splitlines()]


def _keys(rig: Rig, refund_id: str) -> set[str]:
    """The keys that name a refund, or hold it as a member."""
    found = set()
    for key in rig.redis.scan_iter(f"{rig.ledger.ns}:*"):
        kind = rig.redis.type(key)
        is_in = (
            (kind == "zset" and rig.redis.zscore(key, refund_id) is not None)
            or (kind == "set" and rig.redis.sismember(key, refund_id))
            or (kind == "hash" and rig.redis.hexists(key, refund_id))
        )
        if refund_id in key or is_in:
            found.add(key.removeprefix(f"{rig.ledger.ns}:"))
    return found


def test_the_archive_has_the_whole_refund_and_the_ledger_a_tombstone(
    rig: Rig, tmp_path: Path
) -> None:
    """Nothing else is left in Redis; the line in the archive is the record as it was."""
    refund_id = finished(rig)
    refund, history = rig.load(refund_id), rig.ledger.history(refund_id)
    keep(rig, tmp_path)
    [line] = _archived(tmp_path)
    assert Folder(tmp_path).days() == [day_ago(rig, 100)]
    archived = archived_from(json.dumps(line))
    assert (archived.refund, archived.history) == (refund, history)
    assert rig.ledger.load(refund_id) is None
    assert _keys(rig, refund_id) == {f"refund:{refund_id}"}
    assert rig.redis.zcard(rig.key("orders")) == 0
    tombstone = rig.ledger.tombstone(refund_id)
    assert tombstone == (
        *(State.REFUNDED, refund.updated_at_ms // 1000, "101.40", "USD"),
        refund.facts.wix_refund_id,
    )
    assert rig.problems() == []


def test_a_repeat_of_its_job_is_a_duplicate_and_another_job_a_conflict(
    rig: Rig, tmp_path: Path, log: io.StringIO
) -> None:
    """Nothing is refunded again, however late upstream repeats the job."""
    order = rig.order(AFTER)
    refund = rig.run(order, reason="damaged")
    rig.redis.zrem(rig.key("watch"), refund.refund_id)
    age(rig, refund.refund_id, days_ago=100)
    keep(rig, tmp_path)
    rig.request(order, refund.refund_id, reason="damaged")
    rig.request(order, refund.refund_id, reason="other")
    rig.run_until_idle()
    assert len(order.refunds) == 1
    assert [e["event"] for e in _lines(log) if e["event"].startswith("refund.")][-2:] == [
        "refund.duplicate", "refund.conflict",
    ]  # fmt: skip
    assert [letter["reason"] for letter in rig.broker.quarantined().values()] == ["conflict"]
    assert rig.ledger.load(refund.refund_id) is None


@pytest.mark.parametrize("refund_id", ["rf-2024-000123", "3f1c1b1e-0000-4000-8000-000000000001"])
@pytest.mark.parametrize("created", [AFTER, BEFORE])
def test_a_tombstone_takes_at_most_200_bytes(
    rig: Rig, tmp_path: Path, refund_id: str, created: str
) -> None:
    """The record takes more than ten times as much."""
    finished(rig, refund_id=refund_id, created=created)
    key = rig.key("refund", refund_id)
    before = bytes_of(rig, key)
    keep(rig, tmp_path)
    assert bytes_of(rig, key) <= 200 < before


def test_an_order_is_found_as_long_as_one_of_its_refunds_is_kept(rig: Rig, tmp_path: Path) -> None:
    """Only the list entries of the forgotten one are gone."""
    order = rig.order(AFTER)
    old, young = (rig.run(order, amount="1.00", currency="USD").refund_id for _ in range(2))
    for refund_id, days in ((old, 100), (young, 10)):
        rig.redis.zrem(rig.key("watch"), refund_id)
        age(rig, refund_id, days_ago=days)
    keep(rig, tmp_path)
    search = Search(rig.broker.client, namespace=rig.settings.namespace)
    assert search.of_order(order.id) == [young]
    age(rig, young, days_ago=90)
    keep(rig, tmp_path)
    assert search.of_order(order.id) == []
    assert not rig.redis.exists(rig.key("orders"), rig.key("order", STORE_ID, order.id))


def test_it_stays_whole_until_its_day_is_long_enough_ago(rig: Rig, tmp_path: Path) -> None:
    """Whole days (UTC) count, from the end of the day on which it ended."""
    old, young = finished(rig, days_ago=31), finished(rig, days_ago=30)
    keep(rig, tmp_path, keep_days=30)
    assert (rig.ledger.load(old), rig.load(young).refund_id) == (None, young)
    assert [line["refund_id"] for line in _archived(tmp_path)] == [old]


def _dead(rig: Rig, refund_id: str) -> None:
    rig.redis.hset(rig.key("refund", refund_id), "state", "dead")


def _held(rig: Rig, refund_id: str) -> None:
    rig.redis.hset(rig.key("refund", refund_id), "hold", '{"by": "ann"}')


def _newer(rig: Rig, refund_id: str) -> None:
    rig.redis.hset(rig.key("refund", refund_id), "schema", "99")


def _watched(rig: Rig, refund_id: str) -> None:
    rig.redis.zadd(rig.key("watch"), {refund_id: 10**14})


def _looked_at(rig: Rig, refund_id: str) -> None:
    rig.redis.zadd(rig.key("looks", STORE_ID), {refund_id: 10**14})


def _waiting(rig: Rig, refund_id: str) -> None:
    rig.redis.zadd(rig.key("due"), {refund_id: 10**14})


def _awaits_approval(rig: Rig, refund_id: str) -> None:
    rig.redis.zadd(rig.key("approvals"), {refund_id: 1})


def _unfinished(rig: Rig, refund_id: str) -> None:
    rig.redis.hset(rig.key("refund", refund_id), "state", "refund_submitted")


def _of_a_newer_state(rig: Rig, refund_id: str) -> None:
    rig.redis.hset(rig.key("refund", refund_id), "state", "needs_approval")


def _masked(rig: Rig, refund_id: str) -> None:
    rig.redis.hdel(rig.key("refund", refund_id), "schema")
    rig.redis.hset(rig.key("refund", refund_id), "digest", "0" * 64)


@pytest.mark.parametrize(
    "prepare",
    [
        *(_dead, _held, _newer, _watched, _looked_at, _waiting, _unfinished),
        _awaits_approval,
        *(_of_a_newer_state, _masked),
    ],
)
def test_what_somebody_may_still_need_is_neither_archived_nor_forgotten(
    rig: Rig, tmp_path: Path, prepare: Any
) -> None:
    """Even if a list says that it has finished; and it does not stop what comes after it."""
    first, second = finished(rig, days_ago=120), finished(rig, days_ago=110)
    prepare(rig, first)
    before = rig.redis.hgetall(rig.key("refund", first))
    keep(rig, tmp_path)
    assert rig.redis.hgetall(rig.key("refund", first)) == before
    assert rig.ledger.load(second) is None
    assert [line["refund_id"] for line in _archived(tmp_path)] == [second]


def test_a_resolved_letter_is_kept_from_its_resolution_on(rig: Rig, tmp_path: Path) -> None:
    """It was accepted long before; the one that stays in front does not hide the next."""
    first, second = finished(rig, days_ago=120), finished(rig, days_ago=110)
    rig.redis.hincrby(rig.key("refund", first), "updated_at_ms", 120 * 86_400_000)
    keep(rig, tmp_path)
    assert rig.load(first).refund_id == first
    assert rig.ledger.load(second) is None


def test_a_refund_that_changes_between_archive_and_forgetting_stays(
    rig: Rig, tmp_path: Path
) -> None:
    """Its version is not the archived one; it is archived again later, and the later one counts."""
    refund_id = finished(rig)
    found = rig.ledger.keeping.read([refund_id])
    rig.redis.hincrby(rig.key("refund", refund_id), "version", 1)
    assert rig.ledger.keeping.forget(found) == 0
    assert rig.load(refund_id).refund_id == refund_id
    keep(rig, tmp_path)
    assert rig.ledger.load(refund_id) is None


def test_two_workers_that_both_believe_to_lead_forget_once(rig: Rig, tmp_path: Path) -> None:
    """They write the same file; the second finds a tombstone."""
    ids = [finished(rig, days_ago=100 + n % 2) for n in range(4)]
    found = rig.ledger.keeping.read(ids)
    one, other = keeper(rig, tmp_path), keeper(rig, tmp_path)
    for turn in (one.turn, other.turn, one.turn, other.turn):
        turn(lambda: False)
    assert rig.ledger.keeping.forget(found) == len(ids)
    assert sorted(line["refund_id"] for line in _archived(tmp_path)) == sorted(ids)
    assert rig.ledger.keeping.told()["forgotten"] == str(len(ids))


def test_what_arrives_late_for_a_forgotten_refund_changes_nothing(
    rig: Rig, tmp_path: Path, log: io.StringIO
) -> None:
    """A message, a look, an act of a person: packets may arrive at any time."""
    refund_id = finished(rig)
    looks = rig.ledger.watched
    keep(rig, tmp_path)
    before = rig.redis.hgetall(rig.key("refund", refund_id))
    body = {"queue_name": "steps", "actor_name": "submit_refund", "args": [refund_id]}
    more = {"kwargs": {}, "options": {"redis_message_id": "m-1"}, "message_id": "m-1"}
    rig.send_raw(json.dumps(body | more | {"message_timestamp": 1}), queue="steps")
    rig.run_until_idle()
    looks.unchanged(STORE_ID, [refund_id], for_ms=1)
    looks.failed(STORE_ID, [refund_id], for_ms=1)
    assert rig.ledger.misplaced([refund_id], repair=True, act=ANN.act("audit.repair", "")) == []
    assert rig.ledger.relist([refund_id], thorough=True) == 0
    assert rig.redis.hgetall(rig.key("refund", refund_id)) == before
    assert [e["event"] for e in _lines(log)][-1] == "step.unknown_refund"
    assert rig.problems() == []


def test_audit_finds_a_forgotten_refund_that_is_still_listed(rig: Rig, tmp_path: Path) -> None:
    """The tombstone stays."""
    refund_id = finished(rig)
    keep(rig, tmp_path)
    for name in ("accepted", "state:refunded", "due"):
        rig.redis.zadd(rig.key(*name.split(":")), {refund_id: 1})
    assert [each.problem for each in rig.problems()] == ["forgotten, but still listed"]
    act = ANN.act("audit.repair", "")
    assert len(rig.ledger.misplaced([refund_id], repair=True, act=act)) == 1
    assert rig.problems() == []
    assert _keys(rig, refund_id) == {f"refund:{refund_id}"}


def test_a_damaged_history_or_record_stops_nothing(rig: Rig, tmp_path: Path) -> None:
    """A line that is no JSON is archived as it is; a record that cannot be read stays."""
    first, second, third = (finished(rig, days_ago=days) for days in (120, 110, 100))
    rig.redis.hset(rig.key("refund", first), "attempts", "many")
    rig.redis.rpush(rig.key("history", second), "no JSON")
    keep(rig, tmp_path)
    assert rig.redis.hget(rig.key("refund", first), "state") == "refunded"
    assert [line["refund_id"] for line in _archived(tmp_path)] == [second, third]
    assert _archived(tmp_path)[0]["history"][-1] == {"damaged": "no JSON"}
    rig.redis.delete(rig.key("refund", first), rig.key("history", first))
    rig.redis.zrem(rig.key("accepted"), first)


def test_only_the_worker_that_leads_does_it(redis_url: str, tmp_path: Path) -> None:
    """In a thread of its own, with the settings of the worker; and it packs what has ended."""
    rig = Rig(settings_for(redis_url, archive=str(tmp_path)), Simulator())
    old, young = finished(rig), rig.run(rig.order(AFTER)).refund_id
    scheduler = rig.app.scheduler
    scheduler.keep()
    assert rig.load(old).refund_id == old
    rig.redis.delete(rig.key("scheduler"))
    scheduler.wake()
    while rig.ledger.load(old):
        scheduler.keep()
    assert rig.redis.hexists(rig.key("refund", young), "packed")
    assert rig.load(young).refund_id == young
    assert Folder(tmp_path).days() == [day_ago(rig, 100)]
    rig.close()
