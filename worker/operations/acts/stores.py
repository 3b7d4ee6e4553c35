"""Let the lane of a store wait, or those of all stores, until a person resumes it."""

from __future__ import annotations

from worker.ledger.acts import ALL_STORES, Acts
from worker.ledger.audit_log import Operator
from worker.ledger.stores import StoreRecord, Stores
from worker.operations.acts.refusals import CannotAct
from worker.stores.keyring import Keyring


def pause(acts: Acts, store_id: str, *, operator: Operator) -> None:
    """Pause a store, or `ALL_STORES`: jobs are accepted, running steps finish, nothing else starts.

    Raises:
        CannotAct: it is paused.
    """
    name = "pause" if store_id == ALL_STORES else "stores.pause"
    act = operator.act(name, _subject(store_id), {"paused": False}, {"paused": True})
    if not acts.pause(store_id, {"by": operator.by, "why": operator.why}, act):
        raise CannotAct("is paused already")


def unpause(acts: Acts, store_id: str, *, operator: Operator) -> bool:
    """End a pause; False if there was none."""
    name = "resume" if store_id == ALL_STORES else "stores.resume"
    act = operator.act(name, _subject(store_id), {"paused": True}, {"paused": False})
    return acts.unpause(store_id, act)


def resume(acts: Acts, stores: Stores, store_id: str, *, operator: Operator) -> bool:
    """End the pause of one store, and its suspension; False if there was neither."""
    act = operator.act("stores.resume", store_id, {"state": stores.find(store_id).state})
    was_paused = unpause(acts, store_id, operator=operator)
    return stores.resume(store_id, by=operator.by, act=act) or was_paused


def is_known(store: StoreRecord, keyring: Keyring) -> bool:
    """Whether there is such a store: connected, in REFUNDS_STORES, or with refunds."""
    return bool(
        store.sealed
        or store.suspension
        or store.waiting
        or store.in_flight
        or store.store_id in keyring.given
    )


def all_ids(stores: Stores, keyring: Keyring) -> list[str]:
    """Return the stores of the vault, then those of REFUNDS_STORES."""
    return list(dict.fromkeys([*stores.ids(), *keyring.given]))


def _subject(store_id: str) -> str:
    return "" if store_id == ALL_STORES else store_id
