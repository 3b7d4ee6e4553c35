"""Where the runbook's examples are run: a rig with stores, Wix over HTTP, and an operator's shell."""

from __future__ import annotations

import contextvars
import io
import re
import shlex
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

from tests.support.bulk import turn
from tests.support.logs import restored_logging
from tests.support.processes import environment_without_settings
from tests.support.rig import AFTER, KEY, STORE_ID, settings_for
from tests.support.runbook import JOB_ID
from tests.support.stores_rig import StoresRig
from worker.app import membership_from
from worker.cli.main import main
from worker.simulator import Simulator
from worker.simulator.world.orders import Order
from worker.stores.vault import Credentials, new_key

ACCOUNT_ID = "0f5b7a1e-0000-4000-8000-000000000002"
#: The width of the operator's terminal.
COLUMNS = 132


def order_id(number: int) -> str:
    """Return the id of one of the orders."""
    return f"67668940-527d-4465-94c6-{number:012d}"


def store_id(number: int) -> str:
    """Return the id of one of the stores; the first is that of the rig."""
    return f"{STORE_ID[:-12]}{number:012d}"


class _Screen(io.StringIO):
    """Standard output or standard error of a command, which a person sees as one."""

    def __init__(self, shown: list[str], *, is_terminal: bool) -> None:
        super().__init__()
        self._shown, self._is_terminal = shown, is_terminal

    def write(self, text: str) -> int:
        """Show a text."""
        self._shown.append(text)
        return len(text)

    def isatty(self) -> bool:
        """Whether it says that it is a terminal: then tables fit into its width."""
        return self._is_terminal


class DrillWorld:
    """One worker that the drill drives, some stores, and an operator who types commands."""

    def __init__(self, redis_url: str, simulator: Simulator, wix_url: str, place: Path) -> None:
        simulator.add_store(STORE_ID, KEY, account_id=ACCOUNT_ID, name="Café Zoë")
        vault_keys = new_key()
        self.rig = StoresRig(
            settings_for(redis_url, vault_keys=vault_keys, stores="{}", retry_for_s="86400"),
            simulator,
        )
        self.simulator, self.redis = simulator, self.rig.redis
        self.rig.connect()
        self.place = place
        self.job_id = ""
        self.environment = {
            "REFUNDS_REDIS_URL": redis_url,
            "REFUNDS_NAMESPACE": self.rig.settings.namespace,
            "REFUNDS_VAULT_KEYS": vault_keys,
            "REFUNDS_WIX_BASE_URL": wix_url,
            "REFUNDS_STATE_DIR": str(place / "state"),
            "REFUNDS_OPERATOR": "ann",
            "REFUNDS_STORE_CALLS_PER_MIN": "0",
        }
        settings = self.rig.settings.model_copy(update={"state_dir": place / "state"})
        membership_from(settings, self.rig.broker.client).join()
        self.tick()

    def tick(self) -> None:
        """Let the worker live and lead, as it does each second."""
        self.rig.broker.beat()
        self.rig.broker.reclaim(60_000)
        self.rig.ledger.wake_due(self.rig.broker.broker_id, lead_ms=60_000)

    def connect_stores(self, count: int) -> None:
        """Connect more stores, each with a key of its own."""
        for number in range(2, count + 1):
            site, key = store_id(number), f"IST.drill.{number}.key"
            self.simulator.add_store(site, key, account_id=ACCOUNT_ID, name=f"Store {number}")
            sealed = self.rig.vault.seal(Credentials(site, ACCOUNT_ID, key))
            self.redis.zadd(self.rig.key("stores"), {site: number})
            self.redis.hset(self.rig.key("store", site), "sealed", sealed)

    def order(self, number: int, created: str = AFTER, *, store: int = 1, **more: object) -> Order:
        """Place an order with a known id."""
        return self.simulator.add_order(
            store_id(store), created_date=created, order_id=order_id(number), **more
        )

    def request(self, number: int, *, store: int = 1, **more: object) -> str:
        """Ask for the refund of a new order; its id is rf-NUMBER."""
        order = self.order(number, store=store)
        return self.rig.request(order, f"rf-{number}", store_id=store_id(store), **more)

    def work(self) -> None:
        """Let the worker do what can be done now."""
        self.rig.run_queued()
        self.tick()

    def work_for_hours(self) -> None:
        """Let the worker go on until nothing is left to do."""
        self.rig.run_until_idle()
        self.tick()

    def do_bulk(self) -> None:
        """Let the worker do the items of bulk acts, and what follows from them."""
        turn(self.rig)
        self.work()

    def run(self, command: str) -> str:
        """Type a command; returns what the terminal shows."""
        words = shlex.split(command.replace(JOB_ID, self.job_id or JOB_ID))
        if words[0] != "refunds":
            raise AssertionError(f"an example runs only `refunds`: {command}")
        shown: list[str] = []
        # A bulk act is followed on a terminal; nobody would do it meanwhile.
        is_followed = "--yes" in words or words[1:3] == ["jobs", "continue"]
        given = {"COLUMNS": str(COLUMNS), "TERM": "dumb", **self.environment}
        self.status = 0
        try:
            with (
                restored_logging(),
                pytest.MonkeyPatch.context() as patch,
                redirect_stdout(_Screen(shown, is_terminal=not is_followed)),
                redirect_stderr(_Screen(shown, is_terminal=False)),
            ):
                patch.chdir(self.place)
                patch.setenv("TERM", "dumb")
                patch.setattr(sys, "argv", words)
                patch.setattr("os.environ", environment_without_settings() | given)
                contextvars.copy_context().run(main)
        except SystemExit as end:
            self.status = end.code if isinstance(end.code, int) else int(bool(end.code))
        return self._noted("".join(shown))

    def _noted(self, output: str) -> str:
        """Note the id of a bulk act, and write it as the text does."""
        if found := re.search(r"\bjob-[0-9a-f]{12}\b", output):
            self.job_id = found[0]
        return output.replace(self.job_id, JOB_ID) if self.job_id else output
