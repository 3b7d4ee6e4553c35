"""`refunds doctor`, whole: what depends on the server, and what runs on it."""

from __future__ import annotations

import dataclasses
import http.server
import io
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpcore
import pytest

from tests.support.commands import refunds, settings_of
from tests.support.rig import AFTER, KEY, STORE_ID, Rig
from worker.operations.checkup import server_findings, status_page_finding
from worker.operations.vault_check import vault_finding
from worker.process.children import REFUSED
from worker.process.starting import join
from worker.simulator import Simulator, serve
from worker.stores.keyring import Keyring
from worker.stores.vault import Credentials, Vault, new_key
from worker.wix import status_page
from worker.wix.reach import reach
from worker.wix.status_page import Told


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


@pytest.mark.parametrize(
    ("refunds_known", "text"),
    [
        (2, "5.0 MB used, 5% of maxmemory"),
        (1_000, "5.0 MB used, 5.0 kB for each of 1,000 refunds, 5% of maxmemory"),
    ],
)
def test_what_a_refund_takes_is_told_once_there_are_some(
    rig: Rig, refunds_known: int, text: str
) -> None:
    """An almost empty ledger would say that a refund takes a megabyte, and that the end is near."""
    told = {
        "redis": {"used_bytes": 5_000_000, "max_bytes": 100_000_000},
        "refunds": {"states": {"refunded": refunds_known}},
        "today": {"accepted": 2},
    }
    fill = next(server_findings(rig.redis, told))
    grows = "; full in about 9,500 days like today" if refunds_known > 2 else ""
    assert (fill.check, fill.level, fill.text) == ("fill", "ok", text + grows)


def test_a_ledger_that_is_held_back_is_told(rig: Rig) -> None:
    """Refunds do not move then, and nobody need do anything."""
    assert "settling" not in _doctor(rig)
    rig.redis.hset(rig.key("clock"), "run_id", "another")
    rig.ledger.wake_due(rig.broker.broker_id, lead_ms=60_000)
    found = _doctor(rig)["settling"]
    assert found["verdict"] == "note"
    assert "Redis restarted or was replaced: nothing is changed at Wix for" in found["text"]
    assert "a store" not in found["text"]


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
    assert join(app, rig.membership) == REFUSED
    assert "REFUNDS_VAULT_KEYS opens none of 1 stores" in log.getvalue()


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port on which nobody listens."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


def test_how_far_a_call_to_wix_gets_is_told_apart(closed_port: int) -> None:
    """DNS, TCP, TLS, a proxy, and an answer."""

    def unknown(host: str, port: int, limit_s: float) -> list[str]:
        raise httpcore.ConnectError(f"no {host}:{port} within {limit_s}")

    assert reach("https://wix.test", 1, resolve=unknown).stage == "DNS"
    assert reach(f"https://127.0.0.1:{closed_port}", 1).stage == "TCP"
    with serve(Simulator()) as url:
        assert reach(url, 5).stage == "ok"
        spoken = reach(url.replace("http://", "https://"), 5, context=ssl.create_default_context)
        assert spoken.stage == "TLS"


@contextmanager
def _answering(status: int, body: object = "") -> Iterator[str]:
    """Serve one answer to all calls; yields the address."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            text = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(text)

        do_HEAD = do_GET  # noqa: N815 - the name that the library calls

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(("status", "stage"), [(407, "proxy"), (502, "answer"), (404, "ok")])
def test_a_proxy_and_a_failing_gateway_are_told_apart(status: int, stage: str) -> None:
    """Any other answer shows that calls arrive."""
    with _answering(status) as url:
        assert reach(url, 5).stage == stage


def test_an_installation_that_cannot_reach_wix_is_not_fit(rig: Rig, closed_port: int) -> None:
    """It says where the call ended, and the exit code is 1."""
    found = _doctor(rig, REFUNDS_WIX_BASE_URL=f"http://127.0.0.1:{closed_port}")["wix"]
    assert (found["verdict"], found["text"].startswith("TCP failed: ")) == ("failed", True)


SUMMARY = {
    "status": {"indicator": "minor", "description": "Partially Degraded Service"},
    "incidents": [
        {
            "name": "Refunds are delayed",
            "status": "monitoring",
            "components": [{"name": "Wix Payments"}],
        },
        {"name": "Editor is slow", "status": "investigating", "components": [{"name": "Editor"}]},
    ],
    "components": [
        {"id": "g", "name": "eCommerce", "status": "partial_outage", "group": True},
        {"id": "1", "name": "Management", "status": "partial_outage", "group_id": "g"},
        {"id": "2", "name": "Blog", "status": "major_outage"},
        {"id": "3", "name": "Wix Payments", "status": "operational"},
    ],
}


def test_incidents_of_wix_payments_are_told() -> None:
    """And what else refunds depend on; not those of other products."""
    with _answering(200, SUMMARY) as url:
        told = status_page.look(5, url)
    assert told.text == "https://status.wix.com: Partially Degraded Service"
    assert told.troubles == (
        "incident: Refunds are delayed (monitoring)",
        "eCommerce / Management (partial_outage)",
    )
    [finding] = status_page_finding("https://www.wixapis.com", lambda: told)
    assert (finding.level, "Refunds are delayed" in finding.text) == ("warning", True)
    fine = Told(is_read=True, text="https://status.wix.com: All Systems Operational")
    assert [f.level for f in status_page_finding("https://www.wixapis.com", lambda: fine)] == ["ok"]


@pytest.mark.parametrize(
    ("status", "body"), [(503, ""), (200, []), (200, {"incidents": [7], "components": None})]
)
def test_a_status_page_that_cannot_be_read_says_nothing_about_wix(
    status: int, body: object, closed_port: int
) -> None:
    """It is a note, or nothing is wrong; whatever the page looks like."""
    with _answering(status, body) as url:
        told = status_page.look(5, url)
    unreached = status_page.look(1, f"http://127.0.0.1:{closed_port}")
    assert (told.troubles, unreached.is_read) == ((), False)
    [finding] = status_page_finding("https://www.wixapis.com", lambda: unreached)
    assert (finding.level, "could not be read" in finding.text) == ("note", True)


def test_the_status_page_is_not_asked_about_a_simulator() -> None:
    """Nor about any other server."""
    for url in ("http://127.0.0.1:8091", "https://wix.test", "https://notwix.com"):
        assert list(status_page_finding(url, lambda: pytest.fail("it was asked"))) == []
