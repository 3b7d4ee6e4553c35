"""Where the runbook's examples are run: a worker, stores, Wix over HTTP, an operator's shell."""

from __future__ import annotations

import contextvars
import io
import math
import re
import shlex
import sys
from collections.abc import Callable
from contextlib import ExitStack, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest
import redis
from pydantic import SecretStr

from config.settings import Settings
from statemachine.flows import State
from tests.support.logs import restored_logging
from tests.support.processes import environment_without_settings, wait_until
from tests.support.rig import AFTER, KEY, STORE_ID, settings_for
from tests.support.roles import make_users, signed_in
from tests.support.runbook import JOB_ID
from tests.support.stores_rig import StoresRig
from worker.app import membership_from
from worker.cli.main import main
from worker.demo.embedded import embedded_server
from worker.simulator import Fault, Simulator
from worker.simulator.world.orders import Order
from worker.stores.outages import Outages
from worker.stores.vault import Credentials, new_key

#: What a command logs, as JSON.
_LOG_LINE = re.compile(r'^\{.*"level": "info", "timestamp": .*\}\n', re.MULTILINE)
ACCOUNT_ID = "0f5b7a1e-0000-4000-8000-000000000002"


def order_id(number: int) -> str:
    """Return the id of one of the orders."""
    return f"67668940-527d-4465-94c6-{number:012d}"


def store_id(number: int) -> str:
    """Return the id of one of the stores; the first is that of the rig."""
    return f"{STORE_ID[:-12]}{number:012d}"


class DrillWorld:
    """One worker that the drill drives, some stores, and an operator who types commands.

    The operator signs in to Redis with the rights of this role.
    """

    def __init__(self, redis_url: str, simulator: Simulator, wix_url: str, place: Path) -> None:
        simulator.add_store(STORE_ID, KEY, account_id=ACCOUNT_ID, name="Café Zoë")
        self.simulator, self.place = simulator, place
        self.servers = ExitStack()
        self.job_id = ""
        vault_keys = new_key()
        settings = settings_for(redis_url, vault_keys=vault_keys, stores="{}", retry_for_s="86400")
        self.environment = {
            "REFUNDS_NAMESPACE": settings.namespace,
            "REFUNDS_VAULT_KEYS": vault_keys,
            "REFUNDS_WIX_BASE_URL": wix_url,
            "REFUNDS_STATE_DIR": str(place / "state"),
            "REFUNDS_OPERATOR": "ann",
            "REFUNDS_STORE_CALLS_PER_MIN": "0",
        }
        self._start(settings)
        self.rig.connect()

    def _start(self, settings: Settings) -> None:
        """Let a worker start on a server."""
        url = settings.redis_url.get_secret_value()
        make_users(url, settings.namespace, more="+config|get")  # the text shows appendfsync
        self.environment["REFUNDS_REDIS_URL"] = signed_in("operator", url)
        self.rig = StoresRig(settings, self.simulator)
        self.redis = self.rig.redis
        self.outages = Outages(
            circuit=self.rig.ledger.circuit,
            stores=self.rig.stores,
            keyring=self.rig.steps.keyring,
            wix=self.rig.wix,
        )
        self.join()
        self.tick()

    def restart(self, **settings: str) -> None:
        """Let the worker start again with these settings."""
        changed = self.rig.settings.model_copy(update=settings)
        self.redis.delete(self.rig.key("workers"))
        self.rig.close()
        self._start(changed)

    def close(self) -> None:
        """Close the worker's connections, and stop servers that were started for it."""
        self.rig.close()
        self.servers.close()

    def join(self) -> None:
        """Let the worker start: it remembers its ledger on this machine."""
        settings = self.rig.settings.model_copy(update={"state_dir": self.place / "state"})
        joined = membership_from(settings, self.rig.broker.client).join()
        self.rig.ledger.installation = joined.installation

    def tick(self) -> None:
        """Let the worker live and lead, as it does each second."""
        self.rig.broker.beat()
        self.rig.broker.reclaim(60_000)
        # The rig lets time pass as another leader.
        self.redis.delete(self.rig.key("scheduler"))
        self._put_off()
        self.rig.ledger.wake_due(self.rig.broker.broker_id, lead_ms=60_000)

    def _put_off(self) -> None:
        """Let what is due soon be due in an hour: it must not matter how fast this machine is."""
        soon_ms = self.rig.ledger.now_ms() + 60_000
        for refund_id in self.redis.zrangebyscore(self.rig.key("due"), 2, soon_ms):
            self.redis.zadd(self.rig.key("due"), {refund_id: soon_ms + 3_600_000})

    def connect_stores(self, count: int) -> None:
        """Connect more stores, each with a key of its own."""
        for number in range(2, count + 1):
            site, key = store_id(number), f"IST.drill.{number}.key"
            self.simulator.add_store(site, key, account_id=ACCOUNT_ID, name=f"Store {number}")
            sealed = self.rig.vault.seal(Credentials(site, ACCOUNT_ID, key))
            self.redis.zadd(self.rig.key("stores"), {site: number})
            self.redis.hset(self.rig.key("store", site), "sealed", sealed)

    def order(self, number: int, created: str = AFTER, *, store: int = 1, **more: Any) -> Order:
        """Place an order with a known id."""
        return self.simulator.add_order(
            store_id(store), created_date=created, order_id=order_id(number), **more
        )

    def request(self, number: int, *, store: int = 1, **more: Any) -> str:
        """Ask for the refund of a new order; its id is rf-NUMBER."""
        order = self.order(number, store=store)
        return self.rig.request(order, f"rf-{number}", store_id=store_id(store), **more)

    def letter(self, number: int, *, manual: bool = False) -> str:
        """Make a dead letter; with *manual*, of a payment that Wix cannot refund itself."""
        if manual:
            order = self.order(number, payments=[{"amount": "101.40", "offline": True}])
        else:
            order = self.order(number)
            self.simulator.script(Fault("status", "submit_refund", order.id, status=400, code="X"))
        refund_id = self.rig.request(order, f"rf-{number}")
        self.work_for_hours()
        assert self.rig.load(refund_id).state is State.DEAD
        return refund_id

    def waiting(self, number: int, *, manual: bool = False) -> str:
        """Make a refund that waits for its next try."""
        assert not manual
        self.simulator.script(Fault("status", "get_order", order_id(number), times=9, status=503))
        refund_id = self.request(number)
        self.work()
        return refund_id

    def work(self) -> None:
        """Let the worker do what can be done now."""
        self.rig.run_queued()
        self.tick()

    def work_for_hours(self) -> None:
        """Let the worker go on until nothing is left to do."""
        self.rig.run_until_idle()
        self.tick()

    def look_for_outage(self) -> None:
        """Let the worker look whether most stores fail."""
        self.outages.turn(lambda: False)

    def end_outage(self) -> None:
        """Let the worker probe Wix, and start the refunds of more and more stores."""
        while self.redis.exists(self.rig.key("outage")):
            self.redis.hset(self.rig.key("outage"), "next_ms", 1)
            self.look_for_outage()
            self.work()

    def fail_over(self, lose: Callable[[], object]) -> None:
        """Let a replica take over that has missed what *lose* did."""
        url = self.servers.enter_context(embedded_server())
        old = self.redis.connection_pool.connection_kwargs
        with redis.Redis.from_url(url, decode_responses=True) as replica:
            self.redis.config_set("repl-diskless-sync-delay", 0)
            replica.replicaof(old["host"], old["port"])
            wait_until(lambda: replica.info("replication").get("master_link_status") == "up")
            replica.replicaof("NO", "ONE")
        lose()
        settings = self.rig.settings.model_copy(update={"redis_url": SecretStr(url)})
        self.rig.close()
        self._start(settings)

    def do_bulk(self) -> None:
        """Let the worker do the items of bulk acts, and what follows from them."""
        while self.redis.scard(self.rig.key("jobs_running")):
            for key in self.redis.sscan_iter(self.rig.key("jobs_running")):
                self.redis.hset(self.rig.key("job", key), "next_ms", "0")
            self.rig.app.jobs.turn(lambda: False)
            self.work()

    def run(self, command: str) -> str:
        """Run a command as in a script; returns what it prints on both outputs.

        Its log lines are left out: on a terminal, a command does not write them.
        """
        words = shlex.split(command.replace(JOB_ID, self.job_id or JOB_ID))
        if words[0] != "refunds":
            raise AssertionError(f"an example runs only `refunds`: {command}")
        screen = io.StringIO()
        if self.redis.exists(self.rig.key("workers")):
            self.tick()
        self.status = 0
        try:
            with (
                restored_logging(),
                pytest.MonkeyPatch.context() as patch,
                redirect_stdout(screen),
                redirect_stderr(screen),
            ):
                patch.chdir(self.place)
                # It must not matter how fast this machine is.
                patch.setattr("worker.operations.doctor.SLOW_ROUND_TRIP_MS", math.inf)
                patch.setattr(sys, "argv", words)
                patch.setattr("os.environ", environment_without_settings() | self.environment)
                contextvars.copy_context().run(main)
        except SystemExit as end:
            self.status = end.code if isinstance(end.code, int) else int(bool(end.code))
        return self._noted(screen.getvalue())

    def _noted(self, output: str) -> str:
        """Note the id of a bulk act, and write it and the namespace as the text does."""
        if found := re.search(r"\bjob-[0-9a-f]{12}\b", output):
            self.job_id = found[0]
        output = _LOG_LINE.sub("", output).replace(self.rig.settings.namespace, "refunds")
        return output.replace(self.job_id, JOB_ID) if self.job_id else output
