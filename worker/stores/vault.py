"""The vault: a store's API key, sealed at rest and bound to its store.

A sealed key is a Fernet token (AES-128-CBC with HMAC-SHA256) of JSON
`{"store_id", "account_id", "api_key"}`. The first of REFUNDS_VAULT_KEYS seals, all of them open:
that is how vault keys are rotated (`refunds stores reseal`). A token that was copied to another
store does not open, because the store's id inside is compared.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from worker.errors import WorkerError
from worker.observability.redaction import register_secrets


class SealedShut(WorkerError):
    """A sealed key does not open: other vault keys sealed it, or it is another store's."""


@dataclass(frozen=True)
class Credentials:
    """What one store's calls to Wix need."""

    store_id: str
    account_id: str
    api_key: str = field(repr=False)


def new_key() -> str:
    """A fresh vault key, as REFUNDS_VAULT_KEYS takes it."""
    return Fernet.generate_key().decode()


class Vault:
    """Seals and opens; knows nothing of where the sealed keys are kept."""

    def __init__(self, keys: Sequence[str]) -> None:
        register_secrets(keys)
        self._fernet = MultiFernet([Fernet(key) for key in keys])

    def __repr__(self) -> str:
        return "Vault()"

    def seal(self, credentials: Credentials) -> str:
        """Seal with the first key; two seals of the same key differ."""
        return self._fernet.encrypt(json.dumps(vars(credentials)).encode()).decode()

    def open(self, sealed: str, store_id: str) -> Credentials:
        """Open what was sealed for this store.

        Raises:
            SealedShut: it was sealed with other keys, damaged, or sealed for another store.
        """
        try:
            fields = json.loads(self._fernet.decrypt(sealed.encode()))
        except InvalidToken:
            raise SealedShut(
                f"the key of store {store_id} does not open with REFUNDS_VAULT_KEYS: add the vault"
                " key that sealed it, or connect the store again (`refunds stores connect`)"
            ) from None
        credentials = Credentials(**fields)
        if credentials.store_id != store_id:
            raise SealedShut(f"the sealed key of store {store_id} is another store's")
        register_secrets([credentials.api_key])
        return credentials

    def reseal(self, sealed: str, store_id: str) -> str:
        """The same key, sealed anew with the first vault key.

        Raises:
            SealedShut: see `open`.
        """
        return self.seal(self.open(sealed, store_id))
