"""The vault: encrypts the API keys of stores.

A sealed key is a Fernet token (AES-128-CBC with HMAC-SHA256) of the JSON object
`{"store_id", "account_id", "api_key"}`. The first key in REFUNDS_VAULT_KEYS encrypts, all of them
decrypt, so that vault keys can be replaced (`refunds stores reseal`). The token contains the
store's id: one that was copied to another store is refused.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from worker.errors import WorkerError
from worker.observability.redaction import register_secrets


class NoKey(WorkerError):
    """There is no usable API key for a store; the text says why."""


class SealedShut(NoKey):
    """A sealed key cannot be decrypted with these vault keys, or it belongs to another store."""


@dataclass(frozen=True)
class Credentials:
    """What calls to Wix need to act for one store."""

    store_id: str
    account_id: str
    api_key: str = field(repr=False)


def new_key() -> str:
    """Return a new vault key, in the format of REFUNDS_VAULT_KEYS."""
    return Fernet.generate_key().decode()


class Vault:
    """Encrypts and decrypts credentials; where they are stored is the ledger's business."""

    def __init__(self, keys: Sequence[str]) -> None:
        register_secrets(keys)
        self._fernet = MultiFernet([Fernet(key) for key in keys])

    def __repr__(self) -> str:
        return "Vault()"

    def seal(self, credentials: Credentials) -> str:
        """Encrypt with the first vault key; each call returns a different token."""
        return self._fernet.encrypt(json.dumps(vars(credentials)).encode()).decode()

    def open(self, sealed: str, store_id: str) -> Credentials:
        """Decrypt the credentials of this store.

        Raises:
            SealedShut: the token was made with other vault keys or for another store, or damaged.
        """
        try:
            fields = json.loads(self._fernet.decrypt(sealed.encode()))
        except InvalidToken:
            raise SealedShut(
                f"the API key of store {store_id} cannot be decrypted with REFUNDS_VAULT_KEYS: add"
                " the vault key that encrypted it, or connect the store again"
                " (`refunds stores connect`)"
            ) from None
        credentials = Credentials(**fields)
        if credentials.store_id != store_id:
            raise SealedShut(f"the encrypted key of store {store_id} belongs to another store")
        register_secrets([credentials.api_key])
        return credentials

    def reseal(self, sealed: str, store_id: str) -> str:
        """Encrypt the same credentials again, with the first vault key.

        Raises:
            SealedShut: see `open`.
        """
        return self.seal(self.open(sealed, store_id))
