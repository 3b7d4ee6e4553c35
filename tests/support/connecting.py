"""A site at Wix that is not connected yet, and what connects it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from tests.support.rig import ANN, Rig, settings_for
from worker.refund.outcomes import read
from worker.simulator import Simulator
from worker.simulator.contract.routes import ALL_SCOPES
from worker.stores import connecting
from worker.stores.checklist import Findings
from worker.stores.pasted import clean
from worker.stores.vault import new_key

SITE, ACCOUNT = "4b296c48-0000-4000-8000-0000000000aa", "0f5b7a1e-0000-4000-8000-000000000002"
KEY = "IST.connect.canary-key.signature"


@contextmanager
def unconnected(redis_url: str, simulator: Simulator) -> Iterator[Rig]:
    """Yield a worker with a vault; the site is at Wix, and not connected."""
    rig = Rig(settings_for(redis_url, vault_keys=new_key()), simulator)
    add_site(rig)
    yield rig
    rig.redis.close()
    rig.broker.client.close()


def add_site(rig: Rig, scopes: Iterable[str] = ALL_SCOPES, **more: Any) -> None:
    """Put the site at Wix, in the place of the one before."""
    rig.simulator.add_store(SITE, KEY, account_id=ACCOUNT, scopes=scopes, **more)


def connect(rig: Rig, site: str = SITE, account: str = ACCOUNT, key: str = KEY) -> Findings:
    """Connect a site, as the command does with what was pasted."""
    vault = rig.steps.keyring.vault
    assert vault is not None
    pasted = clean(site_id=site, account_id=account, api_key=key)
    assert pasted.problems == ()
    return connecting.connect(
        pasted, vault=vault, stores=rig.stores, examiner=rig.examiner(), operator=ANN
    )


def missing_boxes(findings: Findings) -> set[str]:
    """Return the boxes that the merchant must tick."""
    return {check.box for check in findings.checks if check.result == "missing"}


def store_events(rig: Rig) -> list[dict[str, Any]]:
    """Return the outcomes so far."""
    return [event for _, event in read(rig.redis, rig.settings.namespace)]
