"""`refunds doctor`, whole: what depends on the server, and what runs on it."""

from __future__ import annotations

import dataclasses
import io
import json
import socket
import ssl
from collections.abc import Iterator
from typing import Any

import httpcore
import pytest

from tests.support.commands import refunds, settings_of
from tests.support.rig import AFTER, KEY, STORE_ID, Rig
from worker.__main__ import _join
from worker.operations.vault_check import vault_finding
from worker.simulator import Simulator, serve
from worker.stores.keyring import Keyring
from worker.stores.vault import Credentials, Vault, new_key
from worker.wix.reach import reach


def _doctor(rig: Rig, **more: str) -> dict[str, Any]:
    done = refunds(rig, "doctor", "--json", environment=settings_of(rig) | more)
    found = json.loads(done.stdout)
    assert done.returncode == (0 if found["ok"] else 1)
    return {finding["check"]: finding for finding in found["findings"]}


def test_workers_scheduler_reconcile_and_queue_are_checked(rig: Rig) -> None:
    """While all is well, and when they have stopped."""
    rig.run(rig.order(AFTER))
    rig.broker.reclaim(60_000)
    rig.ledger.wake_due(rig.broker.broker_id, lead_ms=1)
    rig.broker.beat()
    found = _doctor(rig)
    checks = ("settings", "fill", "vault", "workers", "versions", "scheduler", "reconcile", "queue")
    assert {name: found[name]["verdict"] for name in checks} == dict.fromkeys(checks, "ok")
    assert found["ledger"]["verdict"] == "ok"
    assert found["rights"]["verdict"] == "warning"
    rig.redis.hset(rig.key("worker", "old"), "version", "0.0.9")
    rig.redis.zadd(rig.key("workers"), {"old": 10**14})
    rig.redis.hset(rig.key("clock"), "reconciled_ms", 1)
    found = _doctor(rig, REFUNDS_THREDS="5")
    assert "0.0.9" in found["versions"]["text"]
    assert found["reconcile"]["verdict"] == "warning"
    assert found["settings"]["what_to_do"] == "did you mean REFUNDS_THREADS?"
    rig.redis.delete(rig.key("workers"))
    assert _doctor(rig)["workers"]["what_to_do"] == "start it: python -m worker"


def test_a_refund_in_no_place_is_noticed(rig: Rig) -> None:
    """`refunds audit` says more."""
    rig.request(rig.order(AFTER), "rf-1")
    rig._one("refunds")
    rig.redis.delete(rig.key("busy", STORE_ID), rig.key("lane", STORE_ID))
    found = _doctor(rig)["ledger"]
    assert (found["verdict"], "rf-1" in found["text"]) == ("warning", True)
    assert found["what_to_do"].startswith("refunds audit")


def test_a_wrong_vault_key_is_refused(rig: Rig) -> None:
    """It opens no store; one store that cannot be opened is a warning, since the others work."""
    right, wrong = Vault([new_key()]), Vault([new_key()])
    for number in range(2):
        store_id = f"4b296c48-0000-4000-8000-00000000001{number}"
        sealed = right.seal(Credentials(store_id, "a", KEY))
        rig.redis.zadd(rig.key("stores"), {store_id: number})
        rig.redis.hset(rig.key("store", store_id), "sealed", sealed)
    assert vault_finding(Keyring({}, right), rig.stores).level == "ok"
    refused = vault_finding(Keyring({}, wrong), rig.stores)
    assert (refused.level, KEY in refused.text) == ("refused", False)
    rig.redis.hset(rig.key("store", store_id), "sealed", "damaged")
    some = vault_finding(Keyring({}, right), rig.stores)
    assert (some.level, store_id in some.text) == ("warning", True)
    assert refunds(rig, "doctor").returncode != 0


def test_a_worker_with_a_wrong_vault_key_does_not_start(rig: Rig, log: io.StringIO) -> None:
    """Its log says which setting to change."""
    sealed = Vault([new_key()]).seal(Credentials(STORE_ID, "a", KEY))
    rig.redis.zadd(rig.key("stores"), {STORE_ID: 1})
    rig.redis.hset(rig.key("store", STORE_ID), "sealed", sealed)
    app = dataclasses.replace(rig.app, keyring=Keyring({}, Vault([new_key()])))
    assert _join(app, rig.membership) == 1
    assert "REFUNDS_VAULT_KEYS opens none of 1 stores" in log.getvalue()


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port on which nobody listens."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


def test_how_far_a_call_to_wix_gets_is_told_apart(closed_port: int) -> None:
    """Name, connection, encryption, and an answer."""

    def unknown(host: str, port: int, limit_s: float) -> list[str]:
        raise httpcore.ConnectError(f"no {host}:{port} within {limit_s}")

    assert reach("https://wix.test", 1, resolve=unknown).stage == "name"
    assert reach(f"https://127.0.0.1:{closed_port}", 1).stage == "connection"
    with serve(Simulator()) as url:
        assert reach(url, 5).stage == "ok"
        spoken = reach(url.replace("http://", "https://"), 5, context=ssl.create_default_context)
        assert spoken.stage == "encryption"
