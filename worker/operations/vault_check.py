"""Do the vault keys open what the ledger has sealed with them?"""

from __future__ import annotations

from collections.abc import Iterable

from worker.ledger.stores import Stores
from worker.operations.finding import Finding
from worker.stores.keyring import Keyring
from worker.stores.vault import NoKey

#: How many stores are named.
NAMED = 3


def vault_finding(keyring: Keyring, stores: Stores) -> Finding:
    """Try each store's sealed key; refused if none can be opened: the vault key is wrong."""
    sealed = dict(stores.sealed())
    shut = sorted(_not_opened(keyring, sealed.items()))
    if not sealed:
        return Finding("vault", "ok", "no store's API key is in the vault")
    if not shut:
        return Finding("vault", "ok", f"the vault keys open all {len(sealed)} stores")
    named = ", ".join(shut[:NAMED]) + (" ..." if len(shut) > NAMED else "")
    todo = (
        "add the vault key that encrypted them to REFUNDS_VAULT_KEYS, or connect them again with"
        " `refunds stores connect`"
    )
    if len(shut) == len(sealed):
        text = f"REFUNDS_VAULT_KEYS opens none of {len(sealed)} stores ({named})"
        return Finding("vault", "refused", text, todo)
    text = f"REFUNDS_VAULT_KEYS does not open {len(shut)} of {len(sealed)} stores: {named}"
    return Finding("vault", "warning", text, todo)


def _not_opened(keyring: Keyring, sealed: Iterable[tuple[str, str]]) -> Iterable[str]:
    for store_id, text in sealed:
        try:
            keyring.credentials(store_id, text)
        except NoKey:
            yield store_id
