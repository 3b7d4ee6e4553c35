"""A finished record gets smaller soon after its end, and says the same as before."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from statemachine.flows import State, Transition
from tests.support.ages import age, keep
from tests.support.commands import refunds, settings_of
from tests.support.indexing import index
from tests.support.looks import look_again
from tests.support.memory import bytes_of
from tests.support.previous import WHY_NOT, unpack_previous
from tests.support.processes import environment_without_settings
from tests.support.rig import AFTER, BEFORE, STORE_ID, Rig
from worker.ledger.claims import StepCommit
from worker.refund.packing import pack, unpack
from worker.simulator import Fault

JOB: dict[str, Any] = {
    "reason": "damaged",
    "requested_by": "returns",
    "metadata": {"ticket": "T-1"},
    "amount": "10.00",
    "currency": "USD",
    "notify_buyer": True,
}


def _bytes(rig: Rig, refund_id: str) -> int:
    names = (rig.key("refund", refund_id), rig.key("history", refund_id))
    return sum(bytes_of(rig, name) for name in names if rig.redis.exists(name))


def _shown(rig: Rig, refund_id: str) -> dict[str, Any]:
    done = refunds(rig, "show", refund_id, "--json")
    assert done.returncode == 0, done.stderr
    return {name: v for name, v in json.loads(done.stdout).items() if name != "at_ms"}


@pytest.mark.parametrize("created", [AFTER, BEFORE])
def test_it_says_the_same_in_fewer_bytes(rig: Rig, created: str) -> None:
    """`refunds show`, the lists and the timeline do not change; a third of the bytes is gone."""
    rig.simulator.script(Fault("status", "get_order", status=503, times=2))
    refund = rig.run(rig.order(created, fulfillments=1), **(JOB if created == AFTER else {}))
    refund_id = refund.refund_id
    before, bytes_before = _shown(rig, refund_id), _bytes(rig, refund_id)
    listed = refunds(rig, "list", "--text", "amount", "--json").stdout
    assert rig.ledger.packing.turn() == 1
    assert rig.load(refund_id) == refund
    assert rig.load(refund_id).request.digest == rig.redis.hget(
        rig.key("refund", refund_id), "digest"
    )
    assert _shown(rig, refund_id) == before
    assert refunds(rig, "list", "--text", "amount", "--json").stdout == listed
    assert not rig.redis.exists(rig.key("history", refund_id))
    assert _bytes(rig, refund_id) < 0.7 * bytes_before
    assert rig.ledger.packing.turn() == 0
    assert not rig.redis.exists(rig.key("unpacked"))
    assert rig.problems() == []


def test_what_has_not_finished_is_not_packed(rig: Rig) -> None:
    """Neither while it is under way, nor as a dead letter."""
    rig.simulator.script(Fault("status", "submit_refund", status=418, times=9))
    dead = rig.run(rig.order(AFTER)).refund_id
    waiting = rig.request(rig.order(AFTER))
    rig.run_one_step()
    rig.redis.sadd(rig.key("unpacked"), dead, waiting, "rf-unknown")
    assert rig.ledger.packing.turn() == 0
    assert rig.redis.exists(rig.key("history", dead), rig.key("history", waiting)) == 2
    assert not rig.redis.exists(rig.key("unpacked"))


def test_a_reversal_is_appended_to_a_packed_history(rig: Rig) -> None:
    """The watch goes on; the history is in order, and the record can be packed and archived."""
    order = rig.order(AFTER)
    refund_id = rig.run(order).refund_id
    rig.ledger.packing.turn()
    events = [line["event"] for line in rig.ledger.history(refund_id)]
    rig.simulator.provider_says(order.id, "PENDING")
    look_again(rig)
    assert [line["event"] for line in rig.ledger.history(refund_id)] == [*events, "refund.reversed"]
    rig.redis.zrem(rig.key("watch"), refund_id)
    rig.redis.sadd(rig.key("unpacked"), refund_id)
    assert rig.ledger.packing.turn() == 1
    assert [line["event"] for line in rig.ledger.history(refund_id)] == [*events, "refund.reversed"]


def test_a_packed_refund_that_becomes_a_dead_letter_can_be_replayed(rig: Rig) -> None:
    """What was left out is not needed to go on."""
    refund = rig.run(rig.order(AFTER))
    refund_id, record = refund.refund_id, rig.key("refund", refund.refund_id)
    rig.ledger.packing.turn()
    lines = len(rig.ledger.history(refund_id))
    rig.redis.hset(record, mapping={"state": "dead", "died_in": "refund_submitted"})
    rig.redis.zrem(rig.key("state", "refunded"), refund_id)
    rig.redis.zadd(rig.key("state", "dead"), {refund_id: refund.accepted_at_ms})
    rig.redis.zadd(rig.key("dead"), {refund_id: 1})
    assert rig.replay(refund_id, operator="ann")
    rig.run_until_idle()
    assert rig.load(refund_id).state is State.REFUNDED
    assert rig.ledger.packing.turn() == 1
    assert len(rig.ledger.history(refund_id)) > lines


def test_the_repeat_of_the_last_commit_is_known_after_packing(rig: Rig) -> None:
    """redis-py repeats a script whose reply was lost; that may be a minute later."""
    refund_id = rig.request(rig.order(AFTER))
    rig._one("refunds")
    who = rig.delivery()
    claim = rig.ledger.claim(refund_id, Transition.ASSESS_ORDER, who)
    end = StepCommit(state=State.REJECTED, next="end", history=({"event": "step.rejected"},))
    assert rig.ledger.commit(refund_id, claim, end, who)
    assert rig.ledger.packing.turn() == 1
    before = rig.redis.hgetall(rig.key("refund", refund_id))
    assert rig.ledger.commit(refund_id, claim, end, who)
    assert rig.redis.hgetall(rig.key("refund", refund_id)) == before
    assert len(rig.ledger.history(refund_id)) == 2


def test_what_changes_meanwhile_is_packed_the_next_time(rig: Rig) -> None:
    """The script packs only what is as it was read."""
    refund_id = rig.run(rig.order(AFTER)).refund_id
    packing, run = rig.ledger.packing, rig.ledger.packing._run

    def with_a_change(script: str, **given: Any) -> Any:
        rig.redis.rpush(rig.key("history", refund_id), '{"at_ms":1,"event":"late"}')
        return run(script, **given)

    packing._run = with_a_change
    assert packing.turn() == 0
    packing._run = run
    assert packing.turn() == 1
    assert rig.ledger.history(refund_id)[-1]["event"] == "late"


@pytest.mark.parametrize("field", ["facts", "request", "packed"])
def test_a_damaged_record_stays_as_it_is(rig: Rig, field: str) -> None:
    """And is not tried again and again."""
    refund_id = rig.run(rig.order(AFTER)).refund_id
    rig.redis.hset(rig.key("refund", refund_id), field, "{damaged")
    before = rig.redis.hgetall(rig.key("refund", refund_id))
    lines = rig.redis.lrange(rig.key("history", refund_id), 0, -1)
    assert rig.ledger.packing.turn() == 0
    assert rig.redis.hgetall(rig.key("refund", refund_id)) == before
    assert rig.redis.lrange(rig.key("history", refund_id), 0, -1) == lines
    assert len(rig.ledger.history(refund_id)) == len(lines) + (field == "packed")
    assert not rig.redis.exists(rig.key("unpacked"))
    rig.redis.delete(rig.key("refund", refund_id), rig.key("history", refund_id))
    rig.redis.zrem(rig.key("accepted"), refund_id)


def test_records_of_older_versions_are_packed_by_the_pass_over_all(rig: Rig) -> None:
    """They are not in the set of what has finished."""
    refund_id = rig.run(rig.order(AFTER)).refund_id
    rig.redis.delete(rig.key("unpacked"))
    index(rig)
    assert rig.ledger.packing.turn() == 1
    assert rig.redis.hexists(rig.key("refund", refund_id), "packed")


def test_the_archive_has_the_history_of_a_packed_record(rig: Rig, tmp_path: Path) -> None:
    """As lines, and `refunds show` reads it from there."""
    refund_id = rig.run(rig.order(AFTER)).refund_id
    rig.ledger.packing.turn()
    history = rig.ledger.history(refund_id)
    rig.redis.zrem(rig.key("watch"), refund_id)
    age(rig, refund_id, days_ago=100)
    keep(rig, tmp_path)
    assert rig.ledger.load(refund_id) is None
    done = refunds(
        rig,
        *("show", refund_id, "--json"),
        environment=settings_of(rig) | {"REFUNDS_ARCHIVE": str(tmp_path)},
    )
    assert json.loads(done.stdout)["history"] == history


def test_the_previous_version_still_reads_a_packed_record(rig: Rig, tmp_path: Path) -> None:
    """Its commands and its watch; it does not see the packed part of the history."""
    if not unpack_previous(tmp_path):
        pytest.skip(WHY_NOT)
    refund_id = rig.run(rig.order(AFTER), **JOB).refund_id
    rig.ledger.packing.turn()
    for arguments in (["show", refund_id], ["list"], ["audit"]):
        done = subprocess.run(
            [sys.executable, "-c", "from worker.cli import main; main()", *arguments],
            cwd=tmp_path,
            env=environment_without_settings() | settings_of(rig) | {"COLUMNS": "200"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
        assert refund_id in done.stdout or "audit" in arguments
    assert rig.load(refund_id).request.store_id == STORE_ID


@pytest.mark.parametrize("lines", [["{}"], ['{"a":"ä\u2028"}', '{"b":1}'], ["x" * 10_000] * 50])
def test_lines_come_back_as_they_were(lines: list[str]) -> None:
    """Whatever is in them; nothing is packed as nothing."""
    assert unpack(pack(lines)) == lines
    assert unpack("") == []


@pytest.mark.parametrize("text", ["2abc", "1", "1!", "1 ", "1abc", "x"])
def test_what_cannot_be_unpacked_is_an_error(text: str) -> None:
    """It is never taken for an empty history."""
    with pytest.raises(ValueError, match=r"history|base85"):
        unpack(text)
