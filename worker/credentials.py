"""The stores' API keys, from the environment: the interface that a vault will have, too."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from config.settings import StoreEntry
from worker.redaction import register_secrets


@dataclass(frozen=True)
class Credentials:
    """What one store's calls to Wix need."""

    store_id: str
    account_id: str
    api_key: str = field(repr=False)


class EnvironmentStores:
    """Credentials as REFUNDS_STORES gives them."""

    def __init__(self, entries: Mapping[str, StoreEntry]) -> None:
        self._stores = {
            store_id.strip().lower(): Credentials(
                store_id.strip().lower(), entry.account_id, entry.api_key.get_secret_value().strip()
            )
            for store_id, entry in entries.items()
        }
        register_secrets(store.api_key for store in self._stores.values())

    def find(self, store_id: str) -> Credentials | None:
        """The credentials of a store, None when nobody connected it."""
        return self._stores.get(store_id)

    def __len__(self) -> int:
        return len(self._stores)
