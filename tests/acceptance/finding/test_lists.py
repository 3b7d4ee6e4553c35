"""`refunds list` and `refunds dead list`: filters, totals, pages, groups."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.commands import refunds
from tests.support.indexing import index
from tests.support.rig import AFTER, KEY, STORE_ID, Rig
from worker.ledger.reindexing import is_indexed
from worker.ledger.search import KINDS, Search
from worker.observability.printable import printable
from worker.operations.searching import find
from worker.operations.selection import Selection
from worker.simulator import Fault

ESCAPES = "\x1b[2J\x1b]0;x\x07\x9b2J\u202e"
#: What the dead letters of `_dead` die of.
CAUSES = {"rf-a": ("refused_by_wix", "TEAPOT"), "rf-b": ("refused_by_wix", "KETTLE")}


def _json(rig: Rig, *arguments: str) -> Any:
    done = refunds(rig, *arguments, "--json")
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return json.loads(done.stdout)


def _dead(rig: Rig, refund_id: str, code: str = "TEAPOT", **job: Any) -> str:
    """Let a refund become a dead letter; returns its order."""
    rig.simulator.script(Fault("status", "submit_refund", status=418, code=code, times=9))
    order = rig.order(AFTER)
    rig.request(order, refund_id, **job)
    rig.run_until_idle()
    rig.simulator.clear_faults()
    assert rig.load(refund_id).state == "dead"
    return order.id


def _ids(rig: Rig, *arguments: str) -> list[str]:
    return [row["id"] for row in _json(rig, "dead", "list", *arguments)["dead"]]


@pytest.mark.parametrize("indexed", [True, False])
def test_each_filter_finds_dead_letters(rig: Rig, indexed: bool) -> None:
    """With lists by kind, and before they are complete."""
    _dead(rig, "rf-a", "TEAPOT", amount="10.00", currency="USD", reason="Blue Vase")
    order_id = _dead(rig, "rf-b", "KETTLE", requested_by="shop")
    if indexed:
        index(rig)
    assert is_indexed(rig.broker.client, rig.settings.namespace) == indexed
    for arguments, found in (
        ("", ["rf-b", "rf-a"]),
        (f"--store {STORE_ID.upper()}", ["rf-b", "rf-a"]),
        (f"--store {order_id}", []),
        (f"--order {order_id}", ["rf-b"]),
        ("--refund rf-a", ["rf-a"]),
        ("--refund rf", []),
        ("--refund rf-*", ["rf-b", "rf-a"]),
        ("--reason refused_by_wix", ["rf-b", "rf-a"]),
        ("--reason outcome_unknown", []),
        ("--code KETTLE", ["rf-b"]),
        ("--code KETTLE --reason refused_by_wix", ["rf-b"]),
        ("--state refundable", ["rf-b", "rf-a"]),
        ("--state accepted", []),
        ("--transition submit_refund", ["rf-b", "rf-a"]),
        ("--transition assess_order", []),
        ("--since 1h", ["rf-b", "rf-a"]),
        ("--until 1h", []),
        ("--text vase", ["rf-a"]),
        ("--text SHOP", ["rf-b"]),
        ("--text kettle", ["rf-b"]),
        ("--amount-over 10", ["rf-b"]),
        ("--amount-over 9.99", ["rf-b", "rf-a"]),
        ("--sort oldest", ["rf-a", "rf-b"]),
        ("--sort amount", ["rf-b", "rf-a"]),
        ("--sort store --kind refund", ["rf-b", "rf-a"]),
        ("--kind message", []),
    ):
        assert _ids(rig, *arguments.split()) == found, arguments


def test_a_list_says_how_much_there_is(rig: Rig) -> None:
    """Nothing is left out without saying so, and pages show each letter once."""
    for n in range(5):
        _dead(rig, f"rf-{n}", amount=f"{n + 1}.50", currency="USD")
    index(rig)
    first = _json(rig, "dead", "list", "--limit", "2")
    assert (first["total"], first["amounts"], first["amount_unknown"]) == (5, {"USD": "17.50"}, 0)
    second = _json(rig, "dead", "list", "--limit", "2", "--after", first["after"])
    third = _json(rig, "dead", "list", "--limit", "2", "--after", second["after"])
    shown = [row["id"] for page in (first, second, third) for row in page["dead"]]
    assert shown == ["rf-4", "rf-3", "rf-2", "rf-1", "rf-0"]
    assert third["after"] is None
    assert len(_ids(rig, "--all", "--limit", "1")) == 5
    done = refunds(rig, "dead", "list", "--limit", "2")
    assert "\nShowing 2 of 5 refunds (17.50 USD); --limit N or --all shows" in done.stdout
    assert f"--after {first['after']}" in done.stdout
    header = done.stdout.split("\n")[0].split()
    assert header[:4] == ["id", "died", "amount", "currency"]
    # A filtered list has pages, too; also when the letter before was replayed meanwhile.
    page = _json(rig, "dead", "list", "--limit", "2", "--text", "teapot")
    rig.replay("rf-3", operator="ann")
    rest = _json(rig, "dead", "list", "--text", "teapot", "--after", page["after"])
    assert (page["total"], [row["id"] for row in rest["dead"]]) == (5, ["rf-2", "rf-1", "rf-0"])
    assert refunds(rig, "dead", "list", "--after", "rf-1").returncode == 2


@pytest.mark.parametrize("filters", [(), ("--since", "1h")])
def test_dead_letters_are_grouped(rig: Rig, filters: tuple[str, ...]) -> None:
    """Count, amount, oldest, newest, an example and what to do; by the lists or by the filter."""
    _dead(rig, "rf-a", "TEAPOT", amount="10.00", currency="USD")
    _dead(rig, "rf-b", "KETTLE", amount="0.05", currency="USD")
    _dead(rig, "rf-c", "KETTLE")
    index(rig)
    for kind, names in (
        ("reason", ["refused_by_wix"]),
        ("code", ["KETTLE", "TEAPOT"]),
        ("store", [STORE_ID]),
        ("transition", ["submit_refund"]),
    ):
        told = _json(rig, "dead", "list", "--by", kind, *filters)
        assert [group[kind] for group in told["groups"]] == names
        assert sum(group["count"] for group in told["groups"]) == 3
    by_code = _json(rig, "dead", "list", "--by", "code", *filters)["groups"]
    assert [(g["count"], g["amounts"], g["example"]) for g in by_code] == [
        (2, {"USD": "101.45"}, "rf-c"),
        (1, {"USD": "10.00"}, "rf-a"),
    ]
    assert by_code[0]["oldest_at_ms"] <= by_code[0]["newest_at_ms"]
    text = refunds(rig, "dead", "list", "--by", "reason", *filters).stdout
    assert "111.45 USD" in text
    assert "fix the cause, then replay" in text


def test_messages_that_did_not_become_refunds_are_found(rig: Rig) -> None:
    """By their own ids and by those of their jobs, with the time."""
    rig.send_raw("no JSON", message_id="m-1")
    rig.request(rig.order(AFTER), "rf-1")
    rig.run_until_idle()
    [row] = _json(rig, "dead", "list")["dead"]
    assert (row["id"], row["kind"], row["reason"]) == ("m-1", "message", "undecodable")
    assert row["died_at_ms"] > 0
    for arguments, count in (("--refund m-1", 1), ("--reason undecodable", 1), ("--code x", 0)):
        assert len(_ids(rig, *arguments.split())) == count
    assert _json(rig, "dead", "list", "--by", "reason") == {
        "by": "reason",
        "groups": [],
        "messages": 1,
    }


def test_a_refund_is_found_by_its_order(rig: Rig) -> None:
    """Without its store, whatever became of it, and also while it is still in the queue."""
    order = rig.order(AFTER)
    rig.request(order, "rf-1", amount="1.00", currency="USD")
    rig.run_until_idle()
    rig.request(rig.order(AFTER), "rf-before")
    rig.request(order, "rf-2", amount="2.00", currency="USD")
    told = _json(rig, "list", "--order", order.id)
    assert [(r["refund_id"], r["amount"], r["currency"]) for r in told["refunds"]] == [
        ("rf-1", "1.00", "USD")
    ]
    assert [(job["refund_id"], job["before"]) for job in told["queued"]] == [("rf-2", 1)]
    assert "(queued)" in refunds(rig, "list", "--refund", "rf-2").stdout


def test_finished_refunds_are_filtered(rig: Rig) -> None:
    """By state, reason and amount; what ended well has no reason."""
    rig.run(rig.order(AFTER))
    rig.simulator.set_flags()
    rig.request(rig.order(AFTER), "rf-no", amount="500.00", currency="USD")
    rig.run_until_idle()
    told = _json(rig, "list", "--state", "rejected")
    assert [row["refund_id"] for row in told["refunds"]] == ["rf-no"]
    reason = told["refunds"][0]["reason"]["reason"]
    assert len(_json(rig, "list", "--reason", reason)["refunds"]) == 1
    assert len(_json(rig, "list", "--amount-over", "101.40")["refunds"]) == 1
    assert _json(rig, "list")["total"] == 2


def test_records_of_older_versions_are_listed(rig: Rig) -> None:
    """Piece by piece; and what an older version has replayed is taken out again."""
    order_id = _dead(rig, "rf-a", amount="10.00", currency="USD")
    kept = rig.redis.hgetall(rig.key("refund", "rf-a"))
    for key in rig.redis.scan_iter(rig.key("dead_*")):
        rig.redis.delete(key)
    rig.redis.delete(rig.key("cards"), rig.key("orders"))
    rig.redis.hdel(rig.key("refund", "rf-a"), "listed")
    assert _ids(rig, "--code", "TEAPOT") == ["rf-a"]
    index(rig)
    assert rig.redis.hgetall(rig.key("refund", "rf-a")) == kept
    search = Search(rig.broker.client, namespace=rig.settings.namespace)
    assert search.of_order(order_id) == ["rf-a"]
    assert [
        search.size(f"dead_by:{k}:{v}")
        for k, v in zip(KINDS, ("refused_by_wix", "TEAPOT"), strict=False)
    ] == [1, 1]
    rig.redis.hset(rig.key("refund", "rf-a"), "state", "refundable")
    rig.redis.zrem(rig.key("dead"), "rf-a")
    index(rig)
    assert list(rig.redis.scan_iter(rig.key("dead_*"))) == []
    assert not rig.redis.exists(rig.key("cards"))


def test_an_audit_repairs_the_lists(rig: Rig) -> None:
    """Also what looks right in the record, but is missing in a list."""
    _dead(rig, "rf-a", amount="10.00", currency="USD")
    index(rig)
    rig.redis.delete(
        rig.key("dead_by", "reason", "refused_by_wix"), rig.key("dead_groups", "reason")
    )
    assert _ids(rig, "--reason", "refused_by_wix") == []
    assert refunds(rig, "audit", "--repair").returncode == 0
    assert _ids(rig, "--reason", "refused_by_wix") == ["rf-a"]
    assert _json(rig, "dead", "list")["amounts"] == {"USD": "10.00"}


def test_nothing_in_a_record_breaks_its_listing(rig: Rig) -> None:
    """Control characters, long texts cut in the middle of a character, amounts beyond all sums."""
    rig.request(rig.order(AFTER), "rf-1", reason="ä" * 300, requested_by=KEY[:20] + "\x1f")
    rig.run_until_idle()
    record = rig.key("refund", "rf-1")
    hostile = {"reason": ESCAPES, "wix_code": "a\x1fb", "detail": "é" * 101, "error": 5}
    rig.redis.hset(record, mapping={"state": "dead", "reason": json.dumps(hostile)})
    rig.redis.hset(record, "facts", json.dumps({"refund_amount": "9" * 18, "currency": "USD"}))
    rig.redis.zadd(rig.key("dead"), {"rf-1": 1})
    rig.ledger.relist(["rf-1"])
    rig.redis.hset(record, "reason", "no JSON")
    rig.ledger.relist(["rf-1"])
    assert rig.redis.hgetall(rig.key("dead_groups", "reason")) == {"": "1", "\x1f?": "1"}
    rig.redis.hset(record, "reason", json.dumps(hostile))
    rig.ledger.relist(["rf-1"])
    search = Search(rig.broker.client, namespace=rig.settings.namespace)
    assert [m.amount for m in find(search, Selection(), "dead")] == ["9" * 18]
    for arguments in (("dead", "list"), ("dead", "list", "--by", "code"), ("list",)):
        for more in ((), ("--json",)):
            done = refunds(rig, *arguments, *more)
            assert done.returncode == 0
            for line in (done.stdout + done.stderr).split("\n"):
                assert printable(line) == line
                assert "canary" not in line


def test_a_wrong_amount_is_wrong_usage(rig: Rig) -> None:
    """Neither words nor what is no number."""
    for amount in ("much", "NaN", "-1", "Infinity"):
        assert refunds(rig, "list", "--amount-over", amount).returncode == 2
