"""Finds a store's API key: encrypted in the vault, or in the environment."""

from __future__ import annotations

from collections.abc import Mapping

from config.settings import StoreEntry
from worker.observability.redaction import register_secrets
from worker.stores.vault import Credentials, NoKey, SealedShut, Vault


class UnknownStore(NoKey):
    """Nobody has connected this store, and REFUNDS_STORES does not name it."""


class Keyring:
    """Knows the keys of all stores. A key in the vault takes precedence over REFUNDS_STORES."""

    def __init__(self, entries: Mapping[str, StoreEntry], vault: Vault | None = None) -> None:
        self.vault = vault
        self._given = {
            store_id.strip().lower(): Credentials(
                store_id.strip().lower(), entry.account_id, entry.api_key.get_secret_value().strip()
            )
            for store_id, entry in entries.items()
        }
        register_secrets(store.api_key for store in self._given.values())

    @property
    def given(self) -> list[str]:
        """The ids of the stores in REFUNDS_STORES."""
        return sorted(self._given)

    def credentials(self, store_id: str, sealed: str = "") -> Credentials:
        """Return the credentials of a store.

        *sealed* is the encrypted key as the ledger has it, empty if the ledger has none.

        Raises:
            UnknownStore: there is no key for this store.
            SealedShut: the encrypted key cannot be decrypted with the vault keys of this process.
        """
        if not sealed:
            if store_id not in self._given:
                raise UnknownStore(f"store {store_id} is not connected")
            return self._given[store_id]
        if self.vault is None:
            raise SealedShut(
                f"the API key of store {store_id} is encrypted, but REFUNDS_VAULT_KEYS is not set"
            )
        return self.vault.open(sealed, store_id)
