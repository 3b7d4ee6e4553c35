"""Where a store's API key comes from: sealed in the vault, or the environment."""

from __future__ import annotations

from collections.abc import Mapping

from config.settings import StoreEntry
from worker.observability.redaction import register_secrets
from worker.stores.vault import Credentials, SealedShut, Vault


class Keyring:
    """Finds the key of a store. What was connected last, the vault's, wins over REFUNDS_STORES."""

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
        """The stores of REFUNDS_STORES."""
        return sorted(self._given)

    def find(self, store_id: str, sealed: str = "") -> Credentials | None:
        """The credentials of a store, None when nobody connected it.

        Raises:
            SealedShut: the store has a sealed key that the vault keys of this worker do not open.
        """
        if not sealed:
            return self._given.get(store_id)
        if self.vault is None:
            raise SealedShut(f"store {store_id} has a sealed key, but REFUNDS_VAULT_KEYS is empty")
        return self.vault.open(sealed, store_id)
