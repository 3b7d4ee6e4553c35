"""Operations on stores: connect, check, disconnect and reseal. They return data; the CLI prints."""

from __future__ import annotations

from collections.abc import Callable

from worker.errors import Buried
from worker.ledger.audit_log import Operator
from worker.ledger.refunds import Ledger
from worker.ledger.stores import Stores
from worker.observability.context import bound
from worker.observability.events import log_event
from worker.observability.redaction import register_secrets
from worker.refund.reasons import reason_of
from worker.stores.checklist import Findings
from worker.stores.examiner import Examiner
from worker.stores.keyring import Keyring
from worker.stores.pasted import Pasted
from worker.stores.vault import Credentials, NoKey, SealedShut, Vault


class CannotDo(Exception):
    """The operation is refused; the text says why, and what to do instead."""


def connect(
    pasted: Pasted, *, vault: Vault, stores: Stores, examiner: Examiner, operator: Operator
) -> Findings:
    """Check a store's key with Wix and save it if it is good; replaces the key of a known store."""
    register_secrets([pasted.api_key])
    credentials = Credentials(pasted.site_id, pasted.account_id, pasted.api_key)
    findings = examiner.examine(credentials)
    if findings.is_good:
        sealed = vault.seal(credentials)
        profile = _profile(findings)
        known = stores.find(pasted.site_id)
        before = {"state": known.state}
        after = {"state": "connected", "name": findings.name, "currency": findings.currency}
        after["key"] = "replaced" if known.sealed else "new"
        act = operator.act("stores.connect", pasted.site_id, before, after)
        result = stores.connect(pasted.site_id, sealed, profile, findings.accepted_endpoints, act)
        with bound(store_id=pasted.site_id):
            log_event(
                "store.connected",
                name=findings.name,
                currency=findings.currency,
                rotated=result == "rotated",
                operator=operator.by,
            )
    return findings


def check(store_id: str, *, keyring: Keyring, stores: Stores, examiner: Examiner) -> Findings:
    """Check a store's key with Wix again and save the findings; does not resume the store.

    Raises:
        CannotDo: there is no usable key for this store.
    """
    record = stores.find(store_id)
    try:
        credentials = keyring.credentials(store_id, record.sealed)
    except NoKey as error:
        raise CannotDo(str(error)) from None
    findings = examiner.examine(credentials)
    if record.sealed:
        known = {name: value for name, value in _profile(findings).items() if value}
        stores.save_checks(store_id, {**record.profile, **known})
    return findings


def _profile(findings: Findings) -> dict[str, object]:
    known = findings.public()
    return {name: known[name] for name in ("name", "currency", "time_zone", "checks")}


def disconnect(
    store_id: str,
    *,
    keyring: Keyring,
    ledger: Ledger,
    stores: Stores,
    force: bool,
    operator: Operator,
) -> tuple[int, int]:
    """Delete a store and its key; with *force*, its unfinished refunds become dead letters.

    Returns how many refunds became dead letters, and how many are running in a worker right now and
    end there.

    Raises:
        CannotDo: refunds are unfinished and *force* is false, or the vault has no key for it.
    """
    if store_id in keyring.given:
        raise CannotDo(
            f"{store_id} is in REFUNDS_STORES: remove it there and restart the worker instead"
        )
    known = stores.find(store_id)
    if not known.sealed:
        raise CannotDo(f"store {store_id} is not connected")
    unfinished = list(stores.unfinished(store_id))
    if unfinished and not force:
        raise CannotDo(
            f"{len(unfinished)} refunds of {store_id} are not finished; wait for them, or"
            " turn them into dead letters with --force"
        )
    # The key goes first: refunds that arrive from now on become dead letters by themselves.
    after = {"state": "disconnected", "unfinished": len(unfinished)}
    act = operator.act("stores.disconnect", store_id, {"state": known.state}, after)
    stores.disconnect(store_id, act)
    buried = sum(_bury(refund_id, ledger, stores) for refund_id in unfinished)
    with bound(store_id=store_id):
        log_event("store.disconnected", dead_letters=buried, operator=operator.by)
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


def reseal(
    *, vault: Vault, stores: Stores, progress: Callable[[str], None], operator: Operator
) -> dict[str, str]:
    """Encrypt every key again with the first vault key; returns the result by store id."""
    results = {}
    for store_id in stores.ids():
        old = stores.find(store_id).sealed
        if not old:
            continue
        progress(store_id)
        try:
            act = operator.act("stores.reseal", store_id)
            done = stores.reseal(store_id, old, vault.reseal(old, store_id), act)
            results[store_id] = (
                "resealed" if done else "replaced in the meantime: run this command again"
            )
        except SealedShut as error:
            results[store_id] = str(error)
    return results
