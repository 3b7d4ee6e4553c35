"""After a store was connected: a new key, checks, and new vault keys."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.connecting import (
    ACCOUNT,
    KEY,
    SITE,
    add_site,
    connect,
    missing_boxes,
    store_events,
    unconnected,
)
from tests.support.rig import AFTER, ANN, Rig
from worker.simulator import Simulator
from worker.simulator.contract.routes import (
    ALL_SCOPES,
    BUSINESS_INFO,
)
from worker.stores import connecting
from worker.stores.vault import Vault, new_key


@pytest.fixture
def rig(redis_url: str, simulator: Simulator) -> Iterator[Rig]:
    """A worker with a vault, and a site at Wix that is not connected."""
    with unconnected(redis_url, simulator) as made:
        yield made


def test_connecting_again_replaces_the_key(rig: Rig) -> None:
    """The new key is checked first, so a bad one leaves the old one in place."""
    connect(rig)
    vault = rig.steps.keyring.vault
    assert vault is not None
    assert connect(rig, key="IST.unknown.new.key").reason == "bad_key"
    assert vault.open(rig.stores.find(SITE).sealed, SITE).api_key == KEY
    _newer = "IST.newer.key.signature"
    rig.simulator.add_key(_newer, ACCOUNT)
    assert connect(rig, key=_newer).is_good
    assert vault.open(rig.stores.find(SITE).sealed, SITE).api_key == _newer
    assert [event["type"] for event in store_events(rig)] == ["store.connected"] * 2
    assert len({event["id"] for event in store_events(rig)}) == 2


def test_a_running_step_finishes_with_the_old_key_and_the_next_uses_the_new(rig: Rig) -> None:
    """Each claim returns the current key; no restart is needed."""
    connect(rig)
    order = rig.simulator.add_order(SITE, created_date=AFTER)
    rig.request(order, "rf-1", store_id=SITE)
    rig.run_one_step()
    newer = "IST.newer.key.signature"
    rig.simulator.add_key(newer, ACCOUNT)
    connect(rig, key=newer)
    rig.simulator.revoke_key(KEY)
    rig.run_until_idle()
    assert rig.load("rf-1").state.value == "refunded"


def test_a_check_saves_its_findings(rig: Rig) -> None:
    """The checklist is replaced; the name is kept if it cannot be read."""
    connect(rig)
    add_site(rig, ALL_SCOPES - {BUSINESS_INFO})
    found = connecting.check(
        SITE, keyring=rig.steps.keyring, stores=rig.stores, examiner=rig.examiner()
    )
    assert missing_boxes(found) == {"Business Info"}
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
    connect(rig)
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
    connect(rig)
    assert not rig.stores.reseal(SITE, "what it was before", "something")
    vault = rig.steps.keyring.vault
    assert vault is not None
    assert vault.open(rig.stores.find(SITE).sealed, SITE).api_key == KEY
