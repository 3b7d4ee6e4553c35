"""`refunds status`: one look at everything, and what needs a person."""

from __future__ import annotations

import json
from typing import Any

from tests.support.commands import refunds, settings_of
from tests.support.failovers import let_pass, replica, tick
from tests.support.rig import AFTER, KEY, STORE_ID, Rig
from worker.cli.watch import fitted, screen, sparkline
from worker.observability.printable import printable
from worker.operations.status_lines import status_lines
from worker.simulator import Fault

ESCAPES = "\x1b[2J\x1b]0;x\x07\x9b2J\u202e"


def _status(rig: Rig) -> Any:
    done = refunds(rig, "status", "--json")
    told = json.loads(done.stdout)
    assert done.stderr == ""
    assert done.returncode == (0 if told["ok"] else 1)
    return told


def _lead(rig: Rig) -> None:
    rig.redis.set(rig.key("scheduler"), rig.broker.broker_id)


def test_nothing_needs_a_person(rig: Rig) -> None:
    """A worker lives and leads, and all refunds have ended well."""
    rig.run(rig.order(AFTER))
    rig.broker.beat()
    _lead(rig)
    told = _status(rig)
    assert (told["ok"], told["needs"]) == (True, [])
    [worker] = told["workers"]
    assert (worker["state"], worker["threads"], worker["busy"]) == ("alive", 16, 0)
    assert worker["version"]
    assert told["today"]["refunded_amounts"] == {"USD": "101.40"}
    assert (told["today"]["accepted"], told["today"]["refunded"]) == (1, 1)
    assert told["wix"]["results"]["200"] == told["wix"]["calls"] > 3
    assert sum(minute["finished"] for minute in told["wix"]["minutes"]) == 1
    assert "Nothing needs a person." in refunds(rig, "status").stdout


def test_a_worker_is_missed_when_it_is_silent(rig: Rig) -> None:
    """What waits for it is counted, and the command that helps is named."""
    rig.request(rig.order(AFTER))
    rig.redis.zadd(rig.key("workers"), {rig.broker.broker_id: 1})
    told = _status(rig)
    assert told["workers"][0]["state"] == "silent"
    assert told["needs"][0] == {
        "text": "No worker is alive; refunds that wait for one: 1.",
        "command": "python -m worker",
    }


def test_a_worker_that_has_stopped_is_not_missed(rig: Rig) -> None:
    """It says good-bye if it holds nothing; otherwise others must find what it holds."""
    rig.request(rig.order(AFTER))
    rig.broker.fetch("refunds", wanted=1, known=[], block_ms=1)
    rig.broker.leave()
    assert [worker["holds"] for worker in _status(rig)["workers"]] == [1]
    rig.broker.reclaim(-1)
    rig.broker.leave()
    assert _status(rig)["workers"] == []


def test_an_outage_of_wix_is_seen(rig: Rig) -> None:
    """Refunds in retry, since when, and what the store's last error was; no person is needed."""
    _lead(rig)
    rig.simulator.script(Fault("status", "get_order", status=503))
    rig.request(rig.order(AFTER))
    rig.run_queued()
    rig.broker.beat()
    told = _status(rig)
    assert told["ok"]
    assert (told["refunds"]["retrying"], told["refunds"]["later"]) == (1, 1)
    assert 0 <= told["refunds"]["next_in_ms"] <= 1_000
    [store] = told["stores"]["failing"]
    assert (store["store_id"], store["refunds"]) == (STORE_ID, 1)
    assert "503" in store["last_error"]
    assert told["wix"]["results"] == {"503": 1}
    rig.redis.delete(rig.key("scheduler"))
    rig.run_until_idle()
    told = _status(rig)
    assert (told["refunds"]["retrying"], told["stores"]["failing"]) == (0, [])
    assert not rig.redis.exists(rig.key("failing"), rig.key("failing_stores"))


def test_dead_letters_need_a_person(rig: Rig) -> None:
    """By reason, with the amount at stake; once replayed, they are gone from all lists."""
    rig.simulator.script(Fault("status", "submit_refund", status=428, code="X" * 100, times=99))
    refund = rig.run(rig.order(AFTER))
    rig.broker.beat()
    _lead(rig)
    told = _status(rig)
    [group] = told["dead"]["by_reason"]
    assert group == {
        "reason": "refused_by_wix",
        "count": 1,
        "amounts": {"USD": "101.40"},
        "amount_unknown": 0,
    }
    assert told["needs"] == [
        {"text": "Refunds that are dead letters: 1.", "command": "refunds dead list --by reason"}
    ]
    rig.simulator.clear_faults()
    rig.replay(refund.refund_id, operator="ann")
    assert _status(rig)["dead"]["by_reason"] == []
    assert list(rig.redis.scan_iter(rig.key("dead*"))) == []


def test_a_suspended_store_needs_a_person(rig: Rig) -> None:
    """The next command checks its key."""
    rig.run(rig.order(AFTER))
    rig.simulator.revoke_key(KEY)
    rig.request(rig.order(AFTER))
    rig.run_queued()
    rig.broker.beat()
    _lead(rig)
    told = _status(rig)
    assert told["stores"]["suspended"][0]["reason"] == "key_refused"
    assert told["needs"][0]["command"] == f"refunds stores check {STORE_ID}"


def test_a_server_that_restarted_is_seen(rig: Rig) -> None:
    """Until a forgotten call can no longer take effect; nobody is needed."""
    _lead(rig)
    rig.run(rig.order(AFTER))
    rig.broker.beat()
    assert _status(rig)["settling_ms"] == 0
    rig.redis.hset(rig.key("clock"), "run_id", "another")
    rig.ledger.wake_due(rig.broker.broker_id, lead_ms=60_000)
    told = _status(rig)
    assert told["ok"]
    assert 0 < told["settling_ms"] <= rig.settings.settle_delay_ms
    assert "nothing is changed at Wix for another" in refunds(rig, "status").stdout


def test_workers_that_have_not_named_their_calls_are_seen(rig: Rig) -> None:
    """After a failover the hold ends when they have; the rest of it is nobody's."""
    tick(rig)
    rig.run(rig.order(AFTER))
    replica(rig, "another")()
    let_pass(rig, 1)
    told = _status(rig)
    assert told["settling_for"] == [rig.broker.broker_id]
    assert 0 < told["settling_ms"] <= rig.settings.settle_delay_ms
    shown = " ".join(refunds(rig, "status").stdout.split())
    assert f"until {rig.broker.broker_id} named the calls that may be forgotten" in shown
    rig.broker.beat()
    assert (_status(rig)["settling_ms"], _status(rig)["settling_for"]) == (0, [])


def test_another_ledger_needs_a_person_first(rig: Rig) -> None:
    """An empty ledger must not look as if all were well."""
    environment = settings_of(rig) | {"REFUNDS_INSTALLATION": "another"}
    done = refunds(rig, "status", "--json", environment=environment)
    told = json.loads(done.stdout)
    assert done.returncode == 1
    assert told["needs"][0]["command"] == "refunds doctor"
    assert "belongs to installation" in told["needs"][0]["text"]


def test_what_comes_from_outside_neither_controls_the_screen_nor_is_a_secret(rig: Rig) -> None:
    """Worker's host, store's error, reason of a suspension."""
    rig.redis.hset(rig.key("worker", "w"), mapping={"host": ESCAPES, "version": KEY})
    rig.redis.zadd(rig.key("workers"), {"w": 10**14})
    rig.redis.zadd(rig.key("failing_stores"), {ESCAPES: 1})
    rig.redis.hset(rig.key("store", ESCAPES), "last_error", json.dumps({"error": ESCAPES + KEY}))
    rig.redis.zadd(rig.key("probes"), {ESCAPES: 1})
    rig.redis.hset(rig.key("suspended", ESCAPES), mapping={"since_ms": 1, "reason": "no JSON"})
    rig.redis.hset(rig.key("dead_groups", "reason"), mapping={ESCAPES: 1, f"{ESCAPES}\x1fUSD": 5})
    text, told = refunds(rig, "status").stdout, refunds(rig, "status", "--json").stdout
    drawn = fitted(screen(json.loads(told)), 80, 24).plain
    for output in (text, told, drawn):
        assert all(printable(line) == line for line in output.split("\n"))
        assert "canary" not in output


def test_the_screen_fits_a_small_terminal(rig: Rig) -> None:
    """However much there is to say; what needs a person comes first."""
    for n in range(60):
        rig.redis.zadd(rig.key("probes"), {f"store-{n}": n})
        rig.redis.zadd(rig.key("failing_stores"), {f"failing-{n}": 1})
        rig.redis.zadd(rig.key("workers"), {f"w-{n}": 10**14})
        rig.redis.hset(rig.key("dead_groups", "reason"), f"reason-{n}", 1)
    told = _status(rig)
    assert told["stores"]["suspended_count"] == 60
    assert len(told["workers"]) == 50
    lines = fitted(screen(told), 80, 24).plain.split("\n")
    assert len(lines) == 23
    assert max(map(len, lines)) <= 80
    assert lines[1].startswith("! No worker leads")
    assert len(list(status_lines(told))) < 60


def test_bars() -> None:
    """The largest count is the highest bar; anything is more than nothing."""
    assert sparkline([0, 1, 50, 100]) in {"▁▂▅█", "_.+#"}
    assert sparkline([0, 0]) in {"▁▁", "__"}


def test_watching_needs_a_terminal(rig: Rig) -> None:
    """A program reads `refunds status --json`."""
    done = refunds(rig, "watch")
    assert (done.returncode, done.stdout) == (2, "")
    assert "refunds status --json" in done.stderr
