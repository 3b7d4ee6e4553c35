"""A ledger that was emptied, replaced or mistaken for another stops the worker."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import redis

from statemachine.flows import State
from tests.support.rig import AFTER, ANN, Rig
from worker.app import membership_from
from worker.errors import OtherLedger
from worker.ledger.installation import find_installation
from worker.ledger.memory import Memory, Place, place_of
from worker.operations.installation import Membership


def _member(rig: Rig, **settings: object) -> Membership:
    """Return the membership of a program on this machine in the same ledger."""
    given = rig.settings.model_copy(update=settings)
    return membership_from(given, rig.broker.client)


def _empty(rig: Rig) -> None:
    """Delete the whole ledger: FLUSHALL, for the one namespace of this test."""
    keys = rig.redis.keys(rig.key("*"))
    rig.redis.delete(*keys)


def _refused(membership: Membership) -> list[str]:
    return [finding.text for finding in membership.findings() if finding.level == "refused"]


def test_the_first_worker_makes_a_new_ledger_an_installation(rig: Rig, state_home: Path) -> None:
    """It is remembered in one file, which holds neither user nor password."""
    _empty(rig)
    first, second = _member(rig).join(), _member(rig).join()
    assert (first.is_new, second.is_new) == (True, False)
    assert first.installation == second.installation
    assert first.findings == ()
    [path] = (state_home / "wix-refund-worker").iterdir()
    assert set(json.loads(path.read_text())) == {"installation", "server", "database", "namespace"}


def test_a_place_has_no_password() -> None:
    """Only the server, the database and the namespace are remembered."""
    client = redis.Redis.from_url("redis://ann:secret@example.com:6400/3")
    assert place_of(client, "refunds") == Place("example.com:6400", 3, "refunds")
    client = redis.Redis.from_url("unix:///run/redis.sock?password=secret")
    assert place_of(client, "refunds") == Place("/run/redis.sock", 0, "refunds")


def test_a_ledger_that_was_emptied_is_refused_at_the_start(rig: Rig) -> None:
    """The worker does not make it a new installation; the text says what can be done."""
    known = _member(rig).join().installation
    _empty(rig)
    joined = _member(rig).join()
    assert joined.installation == ""
    assert find_installation(rig.redis, rig.settings.namespace) is None
    [finding] = joined.findings
    assert (finding.check, finding.level) == ("installation", "refused")
    for words in (known, "is empty", "REFUNDS_REDIS_URL", "backup", "doctor --adopt"):
        assert words in finding.text


def test_another_ledger_is_refused_at_the_start(rig: Rig) -> None:
    """Both installations are named."""
    known = _member(rig).join().installation
    rig.redis.hset(rig.key("installation"), "id", "another")
    [text] = _refused(_member(rig))
    assert "belongs to installation another" in text
    assert known in text


def test_the_setting_replaces_the_file(rig: Rig) -> None:
    """A machine without a disk that lasts knows its installation by REFUNDS_INSTALLATION."""
    here = rig.membership.join().installation
    right, wrong = _member(rig, installation=here), _member(rig, installation="other")
    assert _refused(right) == []
    assert "REFUNDS_INSTALLATION names other" in _refused(wrong)[0]
    _empty(rig)
    assert "is empty" in _refused(right)[0]


def test_a_machine_that_cannot_remember_warns_and_works(rig: Rig, tmp_path: Path) -> None:
    """The warning names the setting that helps; with the setting there is no warning."""
    (tmp_path / "file").touch()
    nowhere = _member(rig, state_dir=tmp_path / "file" / "state")
    joined = nowhere.join()
    assert joined.installation
    [warning] = [finding for finding in joined.findings if finding.level != "ok"]
    assert warning.level == "warning"
    assert f"REFUNDS_INSTALLATION to {joined.installation}" in warning.text
    configured = rig.settings.model_copy(update={"installation": joined.installation})
    quiet = Membership(rig.broker.client, configured, Memory(None)).join()
    assert {finding.level for finding in quiet.findings} == {"ok"}


def test_a_damaged_file_is_refused_and_an_adoption_writes_it_again(
    rig: Rig, state_home: Path
) -> None:
    """It may have named another ledger."""
    _member(rig).join()
    [path] = (state_home / "wix-refund-worker").iterdir()
    path.write_text("{")
    assert "is damaged" in _refused(_member(rig))[0]
    assert _member(rig).adopt(ANN).installation
    assert _refused(_member(rig)) == []


def test_another_namespace_is_refused_while_refunds_are_in_flight(rig: Rig) -> None:
    """They would wait for ever; once they have ended, the worker may move."""
    _member(rig).join()
    rig.request(rig.order(AFTER))
    rig._one("refunds")
    moved = _member(rig, namespace=f"{rig.settings.namespace}-x")
    assert "1 refunds are in flight" in _refused(moved)[0]
    rig.run_until_idle()
    assert _refused(moved) == []
    [finding] = moved.findings()
    assert f"have used {rig.membership.place}" in finding.text


def test_of_many_ledgers_a_few_are_named(rig: Rig, state_home: Path) -> None:
    """Those of the same server first."""
    memory = Memory(state_home / "wix-refund-worker")
    for number in range(5):
        memory.remember(Place(f"10.0.0.{number}:6379", 0, "refunds"), "an id")
    _member(rig).join()
    [finding] = _member(rig, namespace=f"{rig.settings.namespace}-x").findings()
    assert f"have used {rig.membership.place}; " in finding.text
    assert finding.text.endswith("; and 3 more")
    assert finding.text.count("10.0.0.") == 2


def test_another_database_is_refused_while_refunds_are_in_flight(rig: Rig) -> None:
    """The number at the end of the URL is easily mistaken."""
    _member(rig).join()
    rig.request(rig.order(AFTER))
    rig._one("refunds")
    url = rig.settings.redis_url.get_secret_value().removesuffix("/0")
    with redis.Redis.from_url(f"{url}/1", decode_responses=True) as client:
        moved = membership_from(rig.settings, client)
        assert "1 refunds are in flight" in _refused(moved)[0]
        assert moved.adopt(ANN).is_new
        assert _refused(moved) == []
        client.delete(rig.key("installation"), rig.key("clock"))
    assert _refused(_member(rig)) == []


def test_nothing_happens_in_a_ledger_that_was_emptied_under_the_worker(rig: Rig) -> None:
    """A job that arrives then stays queued; no script writes, and Wix is not asked."""
    _empty(rig)
    rig.request(rig.order(AFTER), "rf-1")
    with pytest.raises(OtherLedger):
        rig.app.scheduler.wake()
    rig._one("refunds")
    assert rig.ledger.is_other
    assert rig.redis.keys(rig.key("refund", "*")) == []
    assert rig.redis.hlen(rig.key("refunds.msgs")) == 1
    assert rig.simulator.calls == []


@pytest.mark.parametrize(("place", "calls"), [("after_claim", 0), ("after_call", 1)])
def test_a_step_whose_ledger_was_emptied_writes_nothing(rig: Rig, place: str, calls: int) -> None:
    """A call that has not been made is not made; the commit of one that was made fails once."""
    order = rig.order(AFTER)
    rig.request(order)
    rig._one("refunds")
    rig._one("steps")
    rig.at[place] = lambda: _empty(rig)
    rig._one("steps")
    assert len(order.refunds) == calls
    assert rig.ledger.is_other
    assert rig.redis.keys(rig.key("refund", "*")) == []
    assert rig.pauses == []


def test_what_another_ledger_has_settled_is_not_our_commit(rig: Rig) -> None:
    """It may know the same refund, since the job was sent again, and its fences begin at 1, too."""
    refund_id = rig.request(rig.order(AFTER))
    rig._one("refunds")

    def replace() -> None:
        record = rig.key("refund", refund_id)
        rig.redis.hset(record, "settled_fence", rig.redis.hget(record, "fence"))
        rig.redis.hset(rig.key("installation"), "id", "another")

    rig.at["before_commit"] = replace
    rig._one("steps")
    assert rig.ledger.is_other
    assert rig.load(refund_id).version == 1


def test_an_adopted_ledger_waits_until_a_forgotten_call_can_no_longer_take_effect(
    rig: Rig,
) -> None:
    """Upstream sends the job again at once; the call that was under way is visible by then."""
    known = _member(rig).join().installation
    order = rig.order(AFTER)
    fingerprint = rig.load(_assessed(rig, order.id)).fingerprint
    _empty(rig)
    adopted = _member(rig).adopt(ANN)
    assert adopted.is_new
    assert adopted.installation != known
    rig.ledger.installation = _member(rig).join().installation
    rig.appear()
    rig.request(order, "rf-1")
    rig.run_queued()
    assert rig.load("rf-1").due_at_ms > 0
    rig.simulator.merchant_refunds(order.id, f"(ref {fingerprint})")
    rig.redis.hincrby(rig.key("clock"), "doubt_ms", -rig.settings.settle_delay_ms)
    rig.run_until_idle()
    assert rig.load("rf-1").state is State.REFUNDED
    assert len(order.refunds) == 1


def _assessed(rig: Rig, order_id: str) -> str:
    refund_id = rig.request(rig.simulator.orders[order_id], "rf-1")
    rig._one("refunds")
    rig._one("steps")
    return refund_id


def test_one_adoption_is_enough_for_all_machines(rig: Rig, tmp_path: Path) -> None:
    """The ledger says which installation it replaces."""
    other = _member(rig, state_dir=tmp_path / "other")
    assert _member(rig).join().installation == other.join().installation
    configured = _member(rig, installation=rig.ledger.installation, state_dir=tmp_path / "third")
    _empty(rig)
    adopted = _member(rig).adopt(ANN).installation
    for membership in (_member(rig), other, configured):
        assert membership.join().installation == adopted


def test_there_is_nothing_to_adopt_where_all_is_well(rig: Rig) -> None:
    """Then --adopt changes nothing, so it does not hold back any refund."""
    _member(rig).join()
    assert _member(rig).adopt(ANN).installation == ""
    assert rig.redis.hget(rig.key("clock"), "doubt_ms") in {None, "0"}


def test_a_machine_without_memory_can_adopt_for_the_others(rig: Rig, tmp_path: Path) -> None:
    """An emptied ledger gets an id; the machines that remember another one say so."""
    _member(rig).join()
    _empty(rig)
    assert _member(rig, state_dir=tmp_path / "laptop").adopt(ANN).is_new
    assert "belongs to installation" in _refused(_member(rig))[0]
    assert _member(rig).adopt(ANN).installation
    assert _refused(_member(rig)) == []


def test_a_job_that_is_sent_again_after_the_ledger_was_lost_is_found(rig: Rig) -> None:
    """The fingerprint depends on the job alone, so Wix still shows what the ledger has lost."""
    order = rig.order(AFTER, payments=[{"amount": "100.00"}])
    rig.request(order, "rf-1", amount="10.00", currency="USD")
    rig.run_until_idle()
    _empty(rig)
    _member(rig).adopt(ANN)
    rig.ledger.installation = _member(rig).join().installation
    rig.appear()
    rig.redis.hincrby(rig.key("clock"), "doubt_ms", -rig.settings.settle_delay_ms)
    rig.request(order, "rf-1", amount="10.00", currency="USD")
    rig.run_until_idle()
    assert rig.load("rf-1").state is State.REFUNDED
    assert len(order.refunds) == 1


def test_a_backup_is_restored_and_the_refund_that_it_forgot_is_found(rig: Rig) -> None:
    """The backup is older than the refund call; its installation is the right one."""
    _member(rig).join()
    order = rig.order(AFTER, payments=[{"amount": "100.00"}])
    rig.request(order, "rf-1", amount="10.00", currency="USD")
    rig._one("refunds")
    rig._one("steps")
    raw = redis.Redis.from_url(rig.settings.redis_url.get_secret_value())  # a dump is not text
    backup = {key: raw.dump(key) or b"" for key in raw.keys(rig.key("*"))}
    rig.run_until_idle()
    _empty(rig)
    for key, value in backup.items():
        raw.restore(key, 0, value)
    raw.close()
    # As on a server that has just been started with the backup's file.
    rig.redis.hset(rig.key("clock"), "run_id", "another")
    assert _refused(_member(rig)) == []
    rig.appear()
    rig.run_queued()
    assert len(order.refunds) == 1
    rig.redis.hincrby(rig.key("clock"), "doubt_ms", -rig.settings.settle_delay_ms)
    rig.run_until_idle()
    assert rig.load("rf-1").state is State.REFUNDED
    assert len(order.refunds) == 1
