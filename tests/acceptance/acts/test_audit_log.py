"""The audit log: one entry per act, written with the act, in a chain that nobody can change."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest

from statemachine.flows import State
from tests.support.commands import refunds, settings_of
from tests.support.lost_replies import lose_reply
from tests.support.rig import AFTER, ANN, KEY, STORE_ID, Rig
from tests.support.stores_rig import StoresRig
from worker.app import acts_from, ledger_from, membership_from
from worker.cli.serve import join
from worker.ledger.audit_log import AuditLog, Operator, hash_of
from worker.operations import dead_letters
from worker.simulator import Fault


def _dead(rig: Rig) -> str:
    rig.simulator.script(Fault("status", "submit_refund", status=400, code="X"))
    refund = rig.run(rig.order(AFTER))
    assert refund.state is State.DEAD
    return refund.refund_id


def _entries(rig: Rig) -> list[dict[str, Any]]:
    return [entry.fields() for entry in rig.ledger.audit_log.entries()]


def test_a_replay_is_recorded_with_who_when_what_why_before_and_after(rig: Rig) -> None:
    """`refunds audit-log --json` shows all of it."""
    refund_id = _dead(rig)
    arguments = ("dead", "replay", refund_id, "--by", "ann", "--reason", "the cause is repaired")
    assert refunds(rig, *arguments).returncode == 0
    found = json.loads(refunds(rig, "audit-log", "--json").stdout)
    [entry] = found["entries"]
    seconds, _ = rig.redis.time()
    assert abs(entry.pop("at_ms") / 1000 - seconds) < 60
    assert len(entry.pop("hash")) == 64
    assert entry == {
        "act": "dead.replay",
        "after": {"state": "refundable"},
        "before": {"reason": "refused_by_wix", "state": "dead"},
        "by": "ann",
        "job": "",
        "prev": "",
        "seq": 1,
        "subject": refund_id,
        "why": "the cause is repaired",
    }
    shown = refunds(rig, "audit-log").stdout
    assert all(word in shown for word in ("ann", "dead.replay", refund_id, "the cause is repaired"))


def test_an_act_that_does_nothing_is_not_recorded(rig: Rig) -> None:
    """The second replay of the same letter, and a store that is not suspended."""
    refund_id = _dead(rig)
    dead_letters.replay(rig.acts, refund_id, operator=ANN)
    with pytest.raises(dead_letters.CannotReplay):
        dead_letters.replay(rig.acts, refund_id, operator=ANN)
    assert not rig.stores.resume(STORE_ID, by="ann", act=ANN.act("stores.resume", STORE_ID))
    assert [entry["subject"] for entry in _entries(rig)] == [refund_id]


def test_a_reason_is_required_where_a_letter_is_concerned(rig: Rig) -> None:
    """Without a terminal nobody can be asked for it."""
    done = refunds(rig, "dead", "replay", _dead(rig))
    assert (done.returncode, "--reason" in done.stderr) == (2, True)
    assert _entries(rig) == []


def test_the_operator_is_the_option_or_the_setting_or_the_login(rig: Rig) -> None:
    """In this order."""
    given = settings_of(rig) | {"REFUNDS_OPERATOR": "night shift"}
    for name in ("", "bob"):
        refund_id = _dead(rig)
        more = ("--by", name) if name else ()
        done = refunds(rig, "dead", "replay", refund_id, "--reason", "x", *more, environment=given)
        assert done.returncode == 0
        rig.run_until_idle()
    assert [entry["by"] for entry in _entries(rig)] == ["night shift", "bob"]


@pytest.mark.parametrize("option", ["--by", "--reason"])
def test_a_text_that_is_too_long_is_refused(rig: Rig, option: str) -> None:
    """Nothing is cut off silently."""
    done = refunds(rig, "dead", "replay", "rf-1", "--reason", "x", option, "y" * 501)
    assert (done.returncode, "at most" in done.stderr) == (2, True)


def test_writers_at_the_same_time_make_one_chain(rig: Rig) -> None:
    """Each entry continues the one before, whoever wrote it."""

    def write(name: str) -> None:
        broker, ledger = ledger_from(rig.settings)
        acts = acts_from(rig.settings, broker, ledger)
        for n in range(25):
            acts.record(Operator(name).act("test", f"{n}"))
        broker.client.close()

    threads = [threading.Thread(target=write, args=(f"w{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = rig.ledger.audit_log.verify()
    assert (found.entries, found.breaks_at) == (100, 0)
    for n in range(4):
        own = [entry["subject"] for entry in _entries(rig) if entry["by"] == f"w{n}"]
        assert own == [str(k) for k in range(25)]


def test_an_entry_is_written_once_if_the_first_reply_was_lost(rig: Rig) -> None:
    """redis-py calls the script again."""
    lose_reply(rig.acts._scripts, "record")
    rig.acts.record(ANN.act("test", "a"))
    rig.acts.record(ANN.act("test", "b"))
    assert [entry["subject"] for entry in _entries(rig)] == ["a", "b"]
    assert rig.ledger.audit_log.verify().breaks_at == 0


def _three_entries(rig: Rig) -> list[tuple[str, dict[str, str]]]:
    for n in range(3):
        rig.acts.record(ANN.act("test", f"{n}"))
    return list(rig.redis.xrange(rig.key("audit_log")))


def _rewritten(rig: Rig, entries: list[tuple[str, dict[str, str]]]) -> None:
    rig.redis.delete(rig.key("audit_log"))
    for stream_id, fields in entries:
        rig.redis.xadd(rig.key("audit_log"), fields, id=stream_id)


def _changed(entries: list[tuple[str, dict[str, str]]]) -> None:
    entries[1][1]["entry"] = entries[1][1]["entry"].replace("ann", "bob")


def _changed_with_its_hash(entries: list[tuple[str, dict[str, str]]]) -> None:
    _changed(entries)
    entries[1][1]["hash"] = hash_of(entries[1][1]["entry"])


def _left_out(entries: list[tuple[str, dict[str, str]]]) -> None:
    del entries[1]


def _first_left_out(entries: list[tuple[str, dict[str, str]]]) -> None:
    del entries[0]


def _last_left_out(entries: list[tuple[str, dict[str, str]]]) -> None:
    del entries[2]


def _damaged(entries: list[tuple[str, dict[str, str]]]) -> None:
    entries[1][1]["entry"] = "\x1b[31m not JSON"


@pytest.mark.parametrize(
    ("tamper", "at", "text"),
    [
        (_changed, 2, "its text was changed"),
        (_changed_with_its_hash, 3, "it does not continue the entry before"),
        (_left_out, 2, "entry 2 is missing"),
        (_first_left_out, 1, "entry 1 is missing"),
        (_last_left_out, 3, "the log ends here, but 3 entries were written"),
        (_damaged, 2, "its text was changed"),
    ],
)
def test_verify_says_where_the_chain_breaks(rig: Rig, tamper: Any, at: int, text: str) -> None:
    """Exit code 1, the number of the entry, and what is wrong with it."""
    entries = _three_entries(rig)
    head = rig.ledger.audit_log.verify()
    assert (head.entries, head.breaks_at, head.head) == (3, 0, entries[2][1]["hash"])
    assert refunds(rig, "audit-log", "--verify").returncode == 0
    tamper(entries)
    _rewritten(rig, entries)
    done = refunds(rig, "audit-log", "--verify")
    assert done.returncode == 1
    assert f"breaks at entry {at}: {text}" in done.stderr
    told = json.loads(refunds(rig, "audit-log", "--verify", "--json").stdout)
    assert (told["ok"], told["breaks_at"]) == (False, at)
    assert refunds(rig, "audit-log").returncode == 0


def test_entries_are_found_by_their_time(rig: Rig) -> None:
    """By age or by a moment; what is neither is wrong usage."""
    _three_entries(rig)
    for since, count in (("1h", 3), ("2020-01-01", 3), ("2999-01-01T00:00Z", 0)):
        told = json.loads(refunds(rig, "audit-log", "--since", since, "--json").stdout)
        assert (len(told["entries"]), told["count"]) == (count, 3)
    assert refunds(rig, "audit-log", "--since", "yesterday").returncode == 2
    limited = refunds(rig, "audit-log", "--limit", "2")
    assert "the newest 2 of 3 entries" in limited.stderr


def test_stores_repair_and_adoption_are_recorded(redis_url: str) -> None:
    """Connected, connected again, disconnected; `audit --repair` and `doctor --adopt`."""
    rig = StoresRig.with_vault(redis_url)
    rig.connect()
    rig.connect()
    refund_id = rig.request(rig.order(AFTER))
    rig.run_intake()
    rig.redis.zadd(rig.key("due"), {refund_id: 1})
    assert refunds(rig, "audit", "--repair", "--by", "bob").returncode == 1
    rig.disconnect(force=True)
    rig.redis.hset(rig.key("installation"), "id", "another")
    membership = membership_from(
        rig.settings.model_copy(update={"installation": "lost"}), rig.broker.client
    )
    assert membership.adopt(ANN).installation
    assert [(x["act"], x["by"]) for x in _entries(rig)] == [
        ("stores.connect", "ann"),
        ("stores.connect", "ann"),
        ("audit.repair", "bob"),
        ("stores.disconnect", "ann"),
        ("doctor.adopt", "ann"),
    ]
    assert [x["before"]["state"] for x in _entries(rig)[:2]] == ["given", "connected"]
    assert _entries(rig)[2]["before"] == {refund_id: "in several places"}
    assert rig.ledger.audit_log.verify().breaks_at == 0
    rig.close()


def test_the_settings_of_other_programs_are_not_those_of_a_worker(rig: Rig) -> None:
    """The HTTP API and the console have tokens that workers lack; each start would be recorded."""
    given = rig.settings.model_copy(update={"threads": 3})
    assert join(given, rig.broker.client) == rig.ledger.installation
    assert _entries(rig) == []


def test_changed_settings_are_recorded_by_name_and_digest(rig: Rig) -> None:
    """When a worker starts; values are not kept, and the same settings are recorded once."""
    changed = {"threads": 3, "stores": {}, "log_level": "debug"}
    given = rig.settings.model_copy(update=changed)
    for _ in range(2):
        membership_from(given, rig.broker.client).join()
    [entry] = _entries(rig)
    assert (entry["act"], entry["by"].startswith("a worker on ")) == ("settings.changed", True)
    assert entry["after"]["names"] == ["REFUNDS_STORES", "REFUNDS_THREADS"]
    assert entry["before"]["digest"] != entry["after"]["digest"]
    kept = json.dumps(rig.redis.hgetall(rig.key("settings"))) + json.dumps(entry)
    assert KEY not in kept


def test_secrets_and_hostile_texts_do_no_harm(rig: Rig) -> None:
    """A pasted key is masked before it is written; control characters are escaped when shown."""
    rig.acts.record(
        Operator(f"ann {KEY}", f"\x1b[31m{KEY} a@b.example").act("test", "\x1b]0;x\x07")
    )
    assert rig.ledger.audit_log.verify().breaks_at == 0
    stored = json.dumps(rig.redis.xrange(rig.key("audit_log")))
    done = refunds(rig, "audit-log")
    for text in (stored, done.stdout):
        assert "canary" not in text
        assert "a@b.example" not in text
    assert "\x1b" not in done.stdout


def test_a_log_that_nobody_can_append_to_fails_loudly(rig: Rig) -> None:
    """The act is not done then, either."""

    class Behind(AuditLog):
        """Reads an old head, always."""

        def _entry(self, act: Any) -> dict[str, str]:
            return super()._entry(act) | {"prev": "old"}

    rig.acts.record(ANN.act("test", "a"))
    rig.ledger.audit_log = Behind(rig.broker.client, rig.ledger.ns)
    refund_id = _dead(rig)
    with pytest.raises(Exception, match="TRYAGAIN"):
        dead_letters.replay(rig.acts, refund_id, operator=ANN)
    assert rig.load(refund_id).state is State.DEAD
