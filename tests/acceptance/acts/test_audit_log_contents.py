"""The audit log contains what happens to stores, their keys, and the settings of workers."""

from __future__ import annotations

import json

from pydantic import SecretStr

from tests.support.commands import refunds, settings_of
from tests.support.rig import KEY, STORE_ID
from tests.support.stores_rig import StoresRig
from worker.app import membership_from
from worker.stores.vault import new_key


def test_the_log_contains_what_happens_to_stores_keys_and_settings(redis_url: str) -> None:
    """Connected, key replaced, paused, resumed, encrypted again; a start with other settings."""
    rig = StoresRig.with_vault(redis_url)
    assert rig.settings.vault_keys is not None
    old = rig.settings.vault_keys.get_secret_value()
    rig.connect()
    rig.connect()
    new = f"{new_key()},{old}"
    given = settings_of(rig) | {"REFUNDS_VAULT_KEYS": new, "REFUNDS_OPERATOR": "bea"}
    for command in (["pause", STORE_ID, "--reason", "fraud?"], ["resume", STORE_ID], ["reseal"]):
        assert refunds(rig, "stores", *command, environment=given).returncode == 0
    started = rig.settings.model_copy(update={"vault_keys": SecretStr(new), "threads": 3})
    membership_from(started, rig.broker.client).join()
    told = json.loads(refunds(rig, "audit-log", "--json").stdout)["entries"]
    assert [(each["act"], each["subject"]) for each in told] == [
        ("stores.connect", STORE_ID),
        ("stores.connect", STORE_ID),
        ("stores.pause", STORE_ID),
        ("stores.resume", STORE_ID),
        ("stores.reseal", STORE_ID),
        ("settings.changed", ""),
    ]
    assert [each["after"].get("key") for each in told[:2]] == ["new", "replaced"]
    assert (told[2]["by"], told[2]["why"]) == ("bea", "fraud?")
    assert told[5]["after"]["names"] == ["REFUNDS_THREADS", "REFUNDS_VAULT_KEYS"]
    assert rig.ledger.audit_log.verify().breaks_at == 0
    kept = json.dumps(told)
    assert not any(secret in kept for secret in (KEY, old, *new.split(",")))
    rig.close()
