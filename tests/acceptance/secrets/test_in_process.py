"""Secrets that enter anywhere appear nowhere."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.logs import captured_log
from tests.support.rig import AFTER, BEFORE, KEY, STORE_ID, Rig
from worker.ledger.audit_log import Operator
from worker.operations import dead_letters
from worker.simulator import Fault

EMAIL = "canary.buyer@example.com"
CANARIES = (KEY, "canary", "hunter22")


def _everything_stored(rig: Rig) -> str:
    parts: list[Any] = []
    for key in rig.redis.scan_iter(f"{rig.ledger.ns}:*"):
        kind = rig.redis.type(key)
        read: Callable[[str], Any] = {
            "none": lambda _: "a lease that has expired since SCAN returned its key",
            "hash": rig.redis.hgetall,
            "string": rig.redis.get,
            "set": rig.redis.smembers,
            "list": lambda k: rig.redis.lrange(k, 0, -1),
            "stream": rig.redis.xrange,
            "zset": lambda k: rig.redis.zrange(k, 0, -1, withscores=True),
        }[kind]
        parts.append((key, read(key)))
    return str(parts)


def test_no_secret_reaches_logs_ledger_letters_or_errors(rig: Rig) -> None:
    """Keys and email addresses in jobs, in Wix's answers and in unreadable messages.

    A job's metadata is the caller's and is stored whole: tests/acceptance/queue/test_metadata.py.
    """
    with captured_log("debug") as out:
        for created in (BEFORE, AFTER):
            order = rig.order(created, fulfillments=1 if created == BEFORE else 0, email=EMAIL)
            rig.simulator.script(
                Fault("status", "get_order", status=400, code=KEY, order_id=order.id),
            )
            refund_id = rig.request(order, reason=f"mail {EMAIL}", requested_by=f"key {KEY}")
            rig.run_until_idle()
            dead_letters.replay(rig.acts, refund_id, operator=Operator(EMAIL, f"{KEY} {EMAIL}"))
            rig.run_until_idle()
            shown = json.dumps([rig.load(refund_id).public(), rig.ledger.history(refund_id)])
            assert not [canary for canary in CANARIES if canary in shown]
        rig.send_raw(f"unreadable {KEY} {EMAIL}", message_id="m-1")
        bad = {"refund_id": "x", "api_key": KEY, "order_id": EMAIL, "store_id": STORE_ID}
        bad["password"] = "hunter22"
        body = {
            "queue_name": "refunds", "actor_name": "request_refund", "args": [], "kwargs": bad,
            "options": {}, "message_id": "m-2", "message_timestamp": 1,
        }  # fmt: skip
        rig.send_raw(json.dumps(body), message_id="m-2")
        rig.run_until_idle()
    stored, printed = _everything_stored(rig), out.getvalue()
    assert "step.done" in printed
    assert "m-1" in stored
    for canary in CANARIES:
        assert canary not in stored
        assert canary not in printed


@pytest.mark.parametrize("word", [KEY, EMAIL, '"canary buyer"@shop', KEY.rpartition(".")[2]])
def test_an_unknown_word_of_wix_is_masked(rig: Rig, word: str) -> None:
    """Whatever Wix uses as a status or a reason: what looks like a secret is not stored."""
    orders = [
        rig.order(AFTER, payments=[{"amount": "5.00", "non_refundable": word}]),
        rig.order(AFTER, payments=[{"amount": "5.00", "offline": True, "manual": word}]),
        rig.order(AFTER, payments=[{"amount": "5.00", "outcome": word}]),
        rig.order(AFTER, extra={"status": word}),
        rig.order(AFTER, extra={"currency": word}),
    ]
    refused = rig.order(AFTER)
    rig.simulator.script(Fault("status", "submit_refund", status=428, code=word, times=9))
    with captured_log("debug") as out:
        for order in (*orders, refused):
            rig.request(order)
        for _ in range(5):
            rig.run_queued()
            rig.let_an_hour_pass()
    assert "step.dead" in out.getvalue()
    for text in (_everything_stored(rig), out.getvalue()):
        assert word not in text
        assert "canary" not in text


@pytest.mark.parametrize("of", ["settings", "stores", "steps"])
def test_no_repr_shows_a_key(rig: Rig, of: str) -> None:
    """A repr may end up in a log or a traceback."""
    shown = {
        "settings": repr(rig.settings),
        "stores": repr(rig.steps.keyring.credentials(STORE_ID)),
        "steps": repr(rig.steps),
    }[of]
    assert shown
    assert "canary" not in shown
