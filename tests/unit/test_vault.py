"""Keys at rest: sealed, bound to their store, and never shown."""

from __future__ import annotations

import pytest
from cryptography.fernet import Fernet

from config.settings import StoreEntry
from worker.stores.keyring import Keyring
from worker.stores.vault import Credentials, SealedShut, Vault, new_key

STORE, OTHER = "4b296c48-0000-4000-8000-000000000001", "4b296c48-0000-4000-8000-000000000002"
MINE = Credentials(STORE, "acc-1", "IST.canary.key.one")


def test_what_was_sealed_opens_for_its_store() -> None:
    """The same three fields come back."""
    vault = Vault([new_key()])
    assert vault.open(vault.seal(MINE), STORE) == MINE


def test_a_sealed_key_does_not_show_the_key() -> None:
    """Nor the account: it is one token, and two of the same differ."""
    vault = Vault([new_key()])
    first, second = vault.seal(MINE), vault.seal(MINE)
    assert first != second
    assert "canary" not in first
    assert "acc-1" not in first


def test_a_sealed_key_copied_to_another_store_does_not_open() -> None:
    """Whoever can write Redis must not move money with another store's key."""
    vault = Vault([new_key()])
    with pytest.raises(SealedShut, match="another store's"):
        vault.open(vault.seal(MINE), OTHER)


@pytest.mark.parametrize("damage", [lambda t: t[:-4], lambda t: "x" + t, lambda _: "ü"])
def test_what_was_damaged_does_not_open(damage: object) -> None:
    """And says so without the token."""
    vault = Vault([new_key()])
    sealed = damage(vault.seal(MINE))  # type: ignore[operator]  # one of the three
    with pytest.raises(SealedShut) as caught:
        vault.open(sealed, STORE)
    assert sealed not in str(caught.value)


def test_the_first_vault_key_seals_and_all_open() -> None:
    """That is how vault keys are exchanged; afterwards the old one is not needed."""
    old, new = new_key(), new_key()
    sealed = Vault([old]).seal(MINE)
    both = Vault([new, old])
    assert both.open(sealed, STORE) == MINE
    resealed = both.reseal(sealed, STORE)
    assert Vault([new]).open(resealed, STORE) == MINE
    with pytest.raises(SealedShut):
        Vault([old]).open(resealed, STORE)


def test_no_repr_and_no_error_shows_a_key() -> None:
    """Neither the vault's nor the store's."""
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


def test_the_vault_wins_over_the_environment() -> None:
    """What was connected last, and checked, counts; without it the environment's key does."""
    vault = Vault([new_key()])
    keyring = _keyring(vault)
    assert keyring.find(STORE, vault.seal(MINE)) == MINE
    given = keyring.find(STORE)
    assert given is not None
    assert given.account_id == "env"
    assert keyring.find(OTHER) is None
    assert keyring.given == [STORE]


def test_a_sealed_key_without_vault_keys_is_shut() -> None:
    """An old key of the environment must not be used behind the operator's back."""
    sealed = Vault([new_key()]).seal(MINE)
    with pytest.raises(SealedShut, match="REFUNDS_VAULT_KEYS"):
        _keyring(None).find(STORE, sealed)
