"""The real programs show no secret in anything that they print or store."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import redis

from tests.support.commands import refunds
from tests.support.processes import (
    PATIENCE_S,
    REFUNDS,
    WORKER,
    command_line,
    environment_without_settings,
    run_program,
    wait_until,
)
from worker.demo.embedded import embedded_server
from worker.simulator import Fault, Simulator, serve
from worker.stores.vault import new_key

SITE, ACCOUNT = "4b296c48-0000-4000-8000-0000000000aa", "0f5b7a1e-0000-4000-8000-000000000002"
KEY, NEWER = "IST.canary-one.aaaabbbb.ccccdddd", "IST.canary-two.aaaabbbb.ccccdddd"
EMAIL = "canary.buyer@example.com"
BEFORE, AFTER = "2024-03-31T13:42:13.136Z", "2025-01-02T03:04:05.000Z"


@dataclass
class Programs:
    """Starts programs, and collects all their output."""

    environment: dict[str, str]
    said: list[str] = field(default_factory=list)
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    def refunds(self, *arguments: str, stdin: str | None = None, code: int = 0) -> str:
        """Run a `refunds` command; one that reads standard input as a program of its own."""
        if stdin is None:
            done = refunds(None, *arguments, environment=self.environment)
        else:
            done = run_program([*REFUNDS, *arguments], self.environment, stdin)
        self.said += [done.stdout, done.stderr]
        assert done.returncode == code, done.stderr
        return done.stdout

    def worker(self) -> subprocess.Popen[str]:
        """Start the worker; its output is collected when it is stopped."""
        worker = subprocess.Popen(
            WORKER,
            env=environment_without_settings()
            | self.environment
            | {"REFUNDS_LOG_LEVEL": "debug", "REFUNDS_LOG_FORMAT": "json"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.started.append(worker)
        return worker

    def kill(self) -> None:
        """Kill every worker that a failed test has left running."""
        for worker in self.started:
            worker.kill()
            worker.communicate()

    def stop(self, worker: subprocess.Popen[str]) -> None:
        """Record the command line that other users see, then stop the worker."""
        seen = command_line(worker.pid)
        assert "-m worker" in seen
        self.said.append(seen)
        os.kill(worker.pid, signal.SIGTERM)
        self.said.append(worker.communicate(timeout=PATIENCE_S)[0])
        assert worker.returncode == 0

    def wait_for(self, refund_id: str, state: str) -> None:
        """Wait until a refund is in this state."""

        def is_there() -> bool:
            shown = json.loads(self.refunds("list", "--json"))["refunds"]
            return any((r["refund_id"], r["state"]) == (refund_id, state) for r in shown)

        wait_until(is_there)


@pytest.fixture
def simulator() -> Simulator:
    """A simulated Wix with one site."""
    simulator = Simulator()
    simulator.add_store(SITE, KEY, account_id=ACCOUNT)
    return simulator


@pytest.fixture
def programs(simulator: Simulator, tmp_path: Path) -> Iterator[tuple[Programs, str]]:
    """A server with readable files, Wix over HTTP, and a vault key; yields also the URL."""
    vault_keys = tmp_path.with_name(f"{tmp_path.name}-vault-keys")
    vault_keys.write_text(new_key())
    with embedded_server(directory=tmp_path) as redis_url, serve(simulator) as wix_url:
        given = {
            "REFUNDS_REDIS_URL": redis_url,
            "REFUNDS_WIX_BASE_URL": wix_url,
            "REFUNDS_VAULT_KEYS_FILE": str(vault_keys),
            "REFUNDS_SCHEDULE_TICK_MS": "20",
            "REFUNDS_CONFIRM_FIRST_MS": "20",
            "REFUNDS_RETRY_FIRST_MS": "20",
            "REFUNDS_STORE_CALLS_PER_MIN": "0",
        }
        programs = Programs(given)
        yield programs, redis_url
        programs.kill()


def _forms(secret: str) -> list[bytes]:
    """Return the secret as it is, and in the base64 of Basic authentication or of a dump."""
    return [secret.encode(), base64.b64encode(secret.encode()).rstrip(b"=")]


def test_no_secret_is_in_any_output_nor_in_any_file_of_redis(
    programs: tuple[Programs, str], simulator: Simulator, tmp_path: Path
) -> None:
    """The logs, the output, the append-only file and a full dump are searched."""
    here, redis_url = programs
    store = {"site_id": SITE, "account_id": ACCOUNT}
    here.refunds("stores", "connect", "--stdin", stdin=json.dumps(store | {"api_key": KEY}))
    orders = [
        simulator.add_order(SITE, created_date=c, email=EMAIL) for c in (BEFORE, AFTER, AFTER)
    ]
    odd = Fault("status", "get_order", status=400, code=KEY, order_id=orders[2].id)
    simulator.script(odd)
    worker = here.worker()
    jobs = [
        {"refund_id": f"rf-{n}", "store_id": SITE, "order_id": order.id, "reason": f"mail {EMAIL}"}
        for n, order in enumerate(orders)
    ]
    file = tmp_path.with_name(f"{tmp_path.name}-jobs.jsonl")
    file.write_text("".join(json.dumps(job) + "\n" for job in jobs))
    here.refunds("request", "--file", str(file))
    for refund_id, ends in (("rf-0", "cancelled"), ("rf-1", "refunded"), ("rf-2", "dead")):
        here.wait_for(refund_id, ends)
    simulator.revoke_key(KEY)
    late = simulator.add_order(SITE, created_date=AFTER, email=EMAIL)
    here.refunds("request", "--store", SITE, "--order", late.id, "--refund-id", "rf-late")
    here.refunds("stores", "connect", "--stdin", stdin=json.dumps(store | {"api_key": KEY}), code=1)
    simulator.add_key(NEWER, ACCOUNT)
    here.refunds("stores", "connect", "--stdin", stdin=json.dumps(store | {"api_key": NEWER}))
    here.wait_for("rf-late", "refunded")
    here.stop(worker)
    for command in ("list", "check --all", "reseal"):
        here.refunds("stores", *command.split())
    for command in ("dead list", "dead show rf-2", "show rf-1", "outcomes --json", "doctor"):
        here.refunds(*command.split())
    with redis.Redis.from_url(redis_url) as client:
        client.config_set("rdbcompression", "no")  # a compressed secret would not be found
        client.save()
    stored = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"rf-late" in stored
    assert b"gAAAA" in stored  # the sealed keys are there
    said = "\n".join(here.said).encode()
    assert b"store.connected" in said
    vault_key = Path(here.environment["REFUNDS_VAULT_KEYS_FILE"]).read_text()
    for secret in (KEY, NEWER, EMAIL, vault_key):
        for form in _forms(secret):
            assert form not in stored
            assert form not in said


@pytest.mark.parametrize("vault_keys", [None, "canary-is-no-fernet-key", ""])
def test_a_start_without_a_vault_key_names_the_command_that_makes_one(
    vault_keys: str | None,
) -> None:
    """Exit code 2, before Redis is asked; an invalid key is not repeated."""
    given = {"REFUNDS_REDIS_URL": "redis://127.0.0.1:1/0"}
    given |= {"REFUNDS_VAULT_KEYS": vault_keys} if vault_keys is not None else {}
    done = run_program(WORKER, given)
    assert done.returncode == 2
    assert "refunds stores keygen" in done.stderr
    assert "canary" not in done.stderr
