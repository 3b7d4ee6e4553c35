"""After a store was connected: a new key, checks, and new vault keys."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from tests.support.rig import AFTER, ANN, Rig, settings_for
from worker.refund.outcomes import read
from worker.simulator import Simulator
from worker.simulator.contract.routes import (
    ALL_SCOPES,
    BUSINESS_INFO,
)
from worker.stores import connecting
from worker.stores.checklist import Findings
from worker.stores.pasted import clean
from worker.stores.vault import Vault, new_key

SITE, ACCOUNT = "4b296c48-0000-4000-8000-0000000000aa", "0f5b7a1e-0000-4000-8000-000000000002"


KEY = "IST.connect.canary-key.signature"


@pytest.fixture
def rig(redis_url: str, simulator: Simulator) -> Iterable[Rig]:
    """A worker with a vault, and a site at Wix that is not connected."""
    rig = Rig(settings_for(redis_url, vault_keys=new_key()), simulator)
    _site(rig)
    yield rig
    rig.redis.close()
    rig.broker.client.close()


def _site(rig: Rig, scopes: Iterable[str] = ALL_SCOPES, **more: Any) -> None:
    rig.simulator.add_store(SITE, KEY, account_id=ACCOUNT, scopes=scopes, **more)


def _connect(rig: Rig, site: str = SITE, account: str = ACCOUNT, key: str = KEY) -> Findings:
    vault = rig.steps.keyring.vault
    assert vault is not None
    pasted = clean(site_id=site, account_id=account, api_key=key)
    assert pasted.problems == ()
    return connecting.connect(
        pasted, vault=vault, stores=rig.stores, examiner=rig.examiner(), operator=ANN
    )


def _missing(findings: Findings) -> set[str]:
    return {check.box for check in findings.checks if check.result == "missing"}


def _store_events(rig: Rig) -> list[dict[str, Any]]:
    return [event for _, event in read(rig.redis, rig.settings.namespace)]


def test_connecting_again_replaces_the_key(rig: Rig) -> None:
    """The new key is checked first, so a bad one leaves the old one in place."""
    _connect(rig)
    vault = rig.steps.keyring.vault
    assert vault is not None
    assert _connect(rig, key="IST.unknown.new.key").reason == "bad_key"
    assert vault.open(rig.stores.find(SITE).sealed, SITE).api_key == KEY
    _newer = "IST.newer.key.signature"
    rig.simulator.add_key(_newer, ACCOUNT)
    assert _connect(rig, key=_newer).is_good
    assert vault.open(rig.stores.find(SITE).sealed, SITE).api_key == _newer
    assert [event["type"] for event in _store_events(rig)] == ["store.connected"] * 2
    assert len({event["id"] for event in _store_events(rig)}) == 2


def test_a_running_step_finishes_with_the_old_key_and_the_next_uses_the_new(rig: Rig) -> None:
    """Each claim returns the current key; no restart is needed."""
    _connect(rig)
    order = rig.simulator.add_order(SITE, created_date=AFTER)
    rig.request(order, "rf-1", store_id=SITE)
    rig.run_one_step()
    newer = "IST.newer.key.signature"
    rig.simulator.add_key(newer, ACCOUNT)
    _connect(rig, key=newer)
    rig.simulator.revoke_key(KEY)
    rig.run_until_idle()
    assert rig.load("rf-1").state.value == "refunded"


def test_a_check_saves_its_findings(rig: Rig) -> None:
    """The checklist is replaced; the name is kept if it cannot be read."""
    _connect(rig)
    _site(rig, ALL_SCOPES - {BUSINESS_INFO})
    found = connecting.check(
        SITE, keyring=rig.steps.keyring, stores=rig.stores, examiner=rig.examiner()
    )
    assert _missing(found) == {"Business Info"}
    store = rig.stores.find(SITE).public()
    assert store["name"] == "Coffee and more"
    assert [c["box"] for c in store["checks"] if c["verdict"] == "missing"] == ["Business Info"]


def test_a_store_that_is_not_connected_cannot_be_checked(rig: Rig) -> None:
    """The error says so, and no call is made."""
    with pytest.raises(connecting.CannotDo, match="connected"):
        connecting.check(
            SITE, keyring=rig.steps.keyring, stores=rig.stores, examiner=rig.examiner()
        )
    assert rig.simulator.calls == []


def test_reseal_encrypts_every_key_with_the_newest_vault_key(rig: Rig) -> None:
    """The API key stays the same; one that cannot be decrypted is named."""
    _connect(rig)
    before = rig.stores.find(SITE)
    newest = new_key()
    assert rig.settings.vault_keys is not None
    both = Vault([newest, rig.settings.vault_keys.get_secret_value()])
    assert connecting.reseal(
        vault=both, stores=rig.stores, progress=lambda _: None, operator=ANN
    ) == {SITE: "resealed"}
    after = rig.stores.find(SITE)
    assert Vault([newest]).open(after.sealed, SITE).api_key == KEY
    assert after.epoch == before.epoch
    stranger = Vault([new_key()])
    found = connecting.reseal(
        vault=stranger, stores=rig.stores, progress=lambda _: None, operator=ANN
    )
    assert "cannot be decrypted" in found[SITE]
    assert rig.stores.find(SITE).sealed == after.sealed


def test_a_key_that_was_replaced_in_the_meantime_is_not_overwritten(rig: Rig) -> None:
    """Resealing the old key must not restore it."""
    _connect(rig)
    assert not rig.stores.reseal(SITE, "what it was before", "something")
    vault = rig.steps.keyring.vault
    assert vault is not None
    assert vault.open(rig.stores.find(SITE).sealed, SITE).api_key == KEY
