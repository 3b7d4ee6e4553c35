"""Finds a store's API key: encrypted in the vault, or in the environment."""

from __future__ import annotations

from collections.abc import Mapping

from config.fields import StoreEntry
from config.loading import SettingsError, variable
from worker.observability.redaction import register_secrets
from worker.stores.pasted import clean
from worker.stores.vault import Credentials, NoKey, SealedShut, Vault


class UnknownStore(NoKey):
    """Nobody has connected this store, and REFUNDS_STORES does not name it."""


def _cleaned(entries: Mapping[str, StoreEntry]) -> dict[str, Credentials]:
    """Clean what was pasted into REFUNDS_STORES, as `refunds stores connect` does."""
    given: dict[str, Credentials] = {}
    problems: list[str] = []
    for number, (site, entry) in enumerate(entries.items(), start=1):
        register_secrets([entry.api_key.get_secret_value()])
        pasted = clean(
            site_id=site,
            account_id=entry.account_id,
            api_key=entry.api_key.get_secret_value(),
            # The worker does not need it to refund, and it was never checked here.
            any_account=True,
        )
        found = list(pasted.problems)
        if pasted.site_id in given:
            found.append("the Site ID is there twice")
        problems += [f"{variable('stores')}, entry {number}: {problem}" for problem in found]
        given[pasted.site_id] = Credentials(pasted.site_id, pasted.account_id, pasted.api_key)
    if problems:
        raise SettingsError("\n".join(problems))
    return given


class Keyring:
    """Knows the keys of all stores. A key in the vault takes precedence over REFUNDS_STORES.

    Raises:
        SettingsError: an entry of REFUNDS_STORES cannot be used; the text never repeats its values.
    """

    def __init__(self, entries: Mapping[str, StoreEntry], vault: Vault | None = None) -> None:
        self.vault = vault
        self._given = _cleaned(entries)
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
                raise UnknownStore(
                    f"store {store_id} is not connected; connect it with `refunds stores connect`"
                )
            return self._given[store_id]
        if self.vault is None:
            raise SealedShut(
                f"the API key of store {store_id} is encrypted, but REFUNDS_VAULT_KEYS is not set"
            )
        return self.vault.open(sealed, store_id)
