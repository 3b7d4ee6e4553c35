"""A rig with stores whose API keys are added, connected and revoked."""

from __future__ import annotations

import io
import json
from typing import Any

from tests.support.rig import ANN, KEY, STORE_ID, Rig, settings_for
from worker.queue.broker import INTAKE
from worker.refund.event import Event
from worker.refund.outcomes import read
from worker.simulator import Simulator
from worker.stores import connecting
from worker.stores.checklist import Findings
from worker.stores.pasted import clean
from worker.stores.vault import Credentials, Vault, new_key

#: The second store.
OTHER, OTHER_KEY = "4b296c48-0000-4000-8000-0000000000bb", "IST.other.canary-key.signature"


class StoresRig(Rig):
    """One worker with keys from the environment or from a vault."""

    @classmethod
    def with_vault(cls, redis_url: str) -> StoresRig:
        """Return a rig with a vault key, and without stores in its environment."""
        settings = settings_for(redis_url, vault_keys=new_key(), stores="{}")
        return cls(settings, Simulator())

    @classmethod
    def with_two_stores(cls, redis_url: str) -> StoresRig:
        """Return a rig with two stores in its environment, with different keys."""
        rig = cls(settings_for(redis_url), Simulator())
        rig.simulator.add_store(OTHER, OTHER_KEY)
        rig.give(OTHER, OTHER_KEY)
        return rig

    @property
    def vault(self) -> Vault:
        """The vault, which the rig must have."""
        assert self.steps.keyring.vault is not None
        return self.steps.keyring.vault

    @property
    def account_id(self) -> str:
        """The id of the account that owns the store at Wix."""
        return self.simulator.stores[STORE_ID].account_id

    def give(self, store_id: str, api_key: str) -> None:
        """Add an entry of REFUNDS_STORES, as if the worker had been restarted with it."""
        self.steps.keyring._given[store_id] = Credentials(store_id, "a", api_key)

    def connect(self, key: str = KEY) -> Findings:
        """Connect the store, as `refunds stores connect` does."""
        findings = connecting.connect(
            clean(site_id=STORE_ID, account_id=self.account_id, api_key=key),
            vault=self.vault,
            stores=self.stores,
            examiner=self.examiner(),
            operator=ANN,
        )
        assert findings.is_good
        return findings

    def disconnect(self, *, force: bool) -> tuple[int, int]:
        """Disconnect the store, as `refunds stores disconnect` does."""
        return connecting.disconnect(
            STORE_ID,
            keyring=self.steps.keyring,
            ledger=self.ledger,
            stores=self.stores,
            force=force,
            operator=ANN,
        )

    def run_intake(self) -> None:
        """Accept all jobs, without running a step."""
        while self._waiting(INTAKE):
            self._one(INTAKE)

    def outcomes(self, *kinds: str) -> list[dict[str, Any]]:
        """Return the events of these types that upstream can read."""
        events = [event for _, event in read(self.redis, self.settings.namespace)]
        for event in events:
            Event.model_validate(event)
        return [event for event in events if event["type"] in kinds]

    def wait_for_probe_ms(self) -> int:
        """Return the time until the next probe of the store, by the server's clock."""
        seconds, micros = self.redis.time()
        due_ms = int(self.redis.zscore(self.key("probes"), STORE_ID))
        return due_ms - int(seconds) * 1000 - int(micros) // 1000

    def probe(self) -> None:
        """Make the next probe due, and run it."""
        assert self.redis.zadd(self.key("probes"), {STORE_ID: 1}, xx=True, ch=True)
        self.prober().turn(lambda: False)


class CommittingTwice:
    """A ledger that commits everything twice, as if the first reply had been lost."""

    def __init__(self, ledger: Any) -> None:
        self._ledger = ledger
        self.statuses: list[str] = []

    def commit(self, *arguments: Any) -> str:
        """Commit twice."""
        self.statuses += [self._ledger.commit(*arguments) for _ in range(2)]
        return self.statuses[-1]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ledger, name)


def lines(log: io.StringIO) -> list[dict[str, Any]]:
    """Return the lines of a log."""
    return [json.loads(line) for line in log.getvalue().splitlines()]
