"""Operations on stores: connect, check, disconnect, reseal. They return data; the CLI prints."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from worker.errors import Buried
from worker.ledger.refunds import Ledger
from worker.ledger.stores import Stores
from worker.observability.events import log_event
from worker.observability.redaction import register_secrets
from worker.refund.reasons import reason_of
from worker.stores.checklist import Findings
from worker.stores.examiner import Examiner
from worker.stores.keyring import Keyring
from worker.stores.pasted import Pasted
from worker.stores.vault import Credentials, SealedShut, Vault


class CannotDo(Exception):
    """The answer is no; the text says why and what to do instead."""


def connect(pasted: Pasted, *, vault: Vault, stores: Stores, examiner: Examiner) -> Findings:
    """Ask Wix about a store's key, and keep it if it is good; a known store's key is exchanged."""
    register_secrets([pasted.api_key])
    credentials = Credentials(pasted.site_id, pasted.account_id, pasted.api_key)
    findings = examiner.examine(credentials)
    if findings.is_good:
        sealed = vault.seal(credentials)
        verdict = stores.connect(pasted.site_id, sealed, _profile(findings), findings.worked)
        with structlog.contextvars.bound_contextvars(store_id=pasted.site_id):
            log_event(
                "store.connected",
                name=findings.name,
                currency=findings.currency,
                rotated=verdict == "rotated",
            )
    return findings


def check(store_id: str, *, keyring: Keyring, stores: Stores, examiner: Examiner) -> Findings:
    """Ask Wix again about a store; what is found is kept with it. Does not resume it.

    Raises:
        CannotDo: nobody connected it, or its key does not open.
    """
    record = stores.find(store_id)
    try:
        credentials = keyring.find(store_id, record.sealed)
    except SealedShut as error:
        raise CannotDo(str(error)) from None
    if credentials is None:
        raise CannotDo(f"no store {store_id} is connected")
    findings = examiner.examine(credentials)
    if record.sealed:
        known = {name: value for name, value in _profile(findings).items() if value}
        stores.save_checks(store_id, {**record.profile, **known})
    return findings


def _profile(findings: Findings) -> dict[str, object]:
    said = findings.public()
    return {name: said[name] for name in ("name", "currency", "time_zone", "checks")}


def disconnect(
    store_id: str, *, keyring: Keyring, ledger: Ledger, stores: Stores, force: bool
) -> tuple[int, int]:
    """Forget a store: (refunds that became dead letters, refunds left to the worker at them).

    Raises:
        CannotDo: refunds are unfinished and *force* is not given; or there is nothing to forget.
    """
    if store_id in keyring.given:
        raise CannotDo(f"{store_id} is in REFUNDS_STORES: take it out there and restart the worker")
    if not stores.find(store_id).sealed:
        raise CannotDo(f"no store {store_id} is connected")
    unfinished = list(stores.unfinished(store_id))
    if unfinished and not force:
        raise CannotDo(
            f"{len(unfinished)} refunds of {store_id} are not finished; wait for them, or"
            " make them dead letters with --force"
        )
    # The key first: what arrives from now on finds none and becomes a dead letter by itself.
    stores.disconnect(store_id)
    buried = sum(_bury(refund_id, ledger, stores) for refund_id in unfinished)
    with structlog.contextvars.bound_contextvars(store_id=store_id):
        log_event("store.disconnected", dead_letters=buried)
    return buried, len(unfinished) - buried


def _bury(refund_id: str, ledger: Ledger, stores: Stores) -> bool:
    refund = ledger.load(refund_id)
    if refund is None:
        return False
    reason = reason_of(Buried("store_disconnected"))
    line = {
        "event": "step.dead",
        "from_state": refund.state.value,
        "reason": reason["reason"],
        "sentence": reason["sentence"],
    }
    return stores.bury(refund, reason=reason, line=line)


def reseal(*, vault: Vault, stores: Stores, progress: Callable[[str], None]) -> dict[str, str]:
    """Seal every key anew with the first vault key; gives store id to what became of it."""
    results = {}
    for store_id in stores.ids():
        old = stores.find(store_id).sealed
        if not old:
            continue
        progress(store_id)
        try:
            done = stores.reseal(store_id, old, vault.reseal(old, store_id))
            results[store_id] = "resealed" if done else "exchanged meanwhile: run it again"
        except SealedShut as error:
            results[store_id] = str(error)
    return results
