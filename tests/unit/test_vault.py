"""Stored API keys are encrypted, bound to their store, and never shown."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from cryptography.fernet import Fernet

from config.fields import StoreEntry
from worker.__main__ import main
from worker.stores.keyring import Keyring, UnknownStore
from worker.stores.vault import Credentials, SealedShut, Vault, new_key

STORE, OTHER = "4b296c48-0000-4000-8000-000000000001", "4b296c48-0000-4000-8000-000000000002"
MINE = Credentials(STORE, "acc-1", "IST.canary.key.one")


def test_sealed_credentials_can_be_opened_for_their_store() -> None:
    """All three fields are restored."""
    vault = Vault([new_key()])
    assert vault.open(vault.seal(MINE), STORE) == MINE


def test_a_sealed_key_does_not_show_the_key() -> None:
    """Nor the account; and the same credentials give another token each time."""
    vault = Vault([new_key()])
    first, second = vault.seal(MINE), vault.seal(MINE)
    assert first != second
    assert "canary" not in first
    assert "acc-1" not in first


def test_a_sealed_key_copied_to_another_store_does_not_open() -> None:
    """Whoever can write to Redis must not be able to use one store's key for another."""
    vault = Vault([new_key()])
    with pytest.raises(SealedShut, match="belongs to another store"):
        vault.open(vault.seal(MINE), OTHER)


@pytest.mark.parametrize("damage", [lambda t: t[:-4], lambda t: "x" + t, lambda _: "ü"])
def test_a_damaged_sealed_key_does_not_open(damage: object) -> None:
    """The error does not contain the token."""
    vault = Vault([new_key()])
    sealed = damage(vault.seal(MINE))  # type: ignore[operator]  # one of the three
    with pytest.raises(SealedShut) as caught:
        vault.open(sealed, STORE)
    assert sealed not in str(caught.value)


def test_the_first_vault_key_seals_and_all_open() -> None:
    """So vault keys can be replaced; after resealing, the old one is no longer needed."""
    old, new = new_key(), new_key()
    sealed = Vault([old]).seal(MINE)
    both = Vault([new, old])
    assert both.open(sealed, STORE) == MINE
    resealed = both.reseal(sealed, STORE)
    assert Vault([new]).open(resealed, STORE) == MINE
    with pytest.raises(SealedShut):
        Vault([old]).open(resealed, STORE)


def test_no_repr_and_no_error_shows_a_key() -> None:
    """Neither a vault key nor a store's API key."""
    key = new_key()
    vault = Vault([key])
    sealed = Fernet(new_key()).encrypt(b"{}").decode()
    with pytest.raises(SealedShut) as caught:
        vault.open(sealed, STORE)
    shown = f"{vault!r} {MINE!r} {caught.value!r} {caught.value.__context__!r}"
    assert "canary" not in shown
    assert key not in shown


def _keyring(vault: Vault | None) -> Keyring:
    entry = StoreEntry.model_validate({"account_id": "env", "api_key": "IST.from.the.environment"})
    return Keyring({STORE.upper(): entry}, vault)


def test_the_vault_takes_precedence_over_the_environment() -> None:
    """The key in the vault was checked; without one, the key in the environment is used."""
    vault = Vault([new_key()])
    keyring = _keyring(vault)
    assert keyring.credentials(STORE, vault.seal(MINE)) == MINE
    assert keyring.credentials(STORE).account_id == "env"
    assert keyring.given == [STORE]


@pytest.mark.parametrize(
    ("site", "key"),
    [
        (f" {STORE}\n", "IST.head\n.pay-load.sig"),
        (
            f"https://manage.wix.com/dashboard/{STORE.upper()}/home",
            "\u201cIST.head.pay-load.sig\u201d",
        ),
        (f"\ufeff{STORE}", "IST.he\u200bad.pay-load.sig\r\n"),
        (f'"{STORE}"', "Bearer IST.head.pay-load.sig"),
        (STORE, "IST.head.\u00a0pay-load.sig"),
    ],
)
def test_what_was_pasted_into_the_environment_is_cleaned(site: str, key: str) -> None:
    """As in `refunds stores connect`: a key with a line end in it would fail on each call."""
    keyring = Keyring({site: StoreEntry.model_validate({"account_id": "a ", "api_key": key})})
    assert keyring.given == [STORE]
    assert keyring.credentials(STORE) == Credentials(STORE, "a", "IST.head.pay-load.sig")


@pytest.mark.parametrize(
    ("stores", "said"),
    [
        (
            {STORE: {"account_id": "a", "api_key": "IST.canary.ü.c"}},
            "entry 1: the API Key contains",
        ),
        ({STORE: {"account_id": "a", "api_key": " \n"}}, "entry 1: the API Key is empty"),
        ({"canary": {"account_id": "a", "api_key": "IST.a.b.c"}}, "the Site ID is not a UUID"),
        ({STORE: {"account_id": " ", "api_key": "IST.a.b.c"}}, "the Account ID is empty"),
        (
            {each: {"account_id": "a", "api_key": "IST.a.b.c"} for each in (STORE, f" {STORE}")},
            "entry 2: the Site ID is there twice",
        ),
        ({STORE: {"account_id": STORE, "api_key": "IST.a.b.c"}}, "are the same"),
    ],
)
def test_what_cannot_be_used_is_refused_at_the_start(
    stores: dict[str, Any],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    log: io.StringIO,
) -> None:
    """Whatever the number of processes is; no value is repeated."""
    monkeypatch.setenv("REFUNDS_REDIS_URL", "redis://127.0.0.1:1/0")
    monkeypatch.setenv("REFUNDS_STORES", json.dumps(stores))
    for processes in ("1", "2"):
        monkeypatch.setenv("REFUNDS_PROCESSES", processes)
        assert main([]) == 2
        printed = log.getvalue()
        assert "REFUNDS_STORES, entry " in printed
        assert said in printed
        assert "canary" not in printed


def test_a_store_without_any_key_is_unknown() -> None:
    """The error names the store."""
    with pytest.raises(UnknownStore, match=f"store {OTHER} is not connected"):
        _keyring(None).credentials(OTHER)


def test_a_sealed_key_without_vault_keys_does_not_open() -> None:
    """An old key in the environment must not be used in its place without notice."""
    sealed = Vault([new_key()]).seal(MINE)
    with pytest.raises(SealedShut, match="REFUNDS_VAULT_KEYS"):
        _keyring(None).credentials(STORE, sealed)
