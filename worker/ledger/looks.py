"""The looks at finished refunds: handed out store by store, after its refunds (`lua/looks.lua`)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from worker.ledger.claims import Change
from worker.ledger.records import Records
from worker.observability.redaction import redact
from worker.refund.record import Refund

#: Looks that share a call. W54.
PER_CALL = 100
#: When a look that failed, or that was never reported, is made again.
AGAIN_MS = 600_000
#: How soon to try again while real work of the store comes first, and for how long it may.
PUT_OFF_MS = 10_000
PATIENCE_MS = 300_000


class Looks(NamedTuple):
    """Looks at refunds of one store that are due."""

    store_id: str
    sealed: str
    """The store's sealed key, "" when the vault has none."""
    refunds: list[Refund]


class WatchedRefunds:
    """Hands out looks and records what they found."""

    def __init__(self, run: Callable[..., Any], records: Records) -> None:
        self._run = run
        """Runs a script of the ledger by its name."""
        self._records = records

    def take(self) -> Looks | None:
        """Return due looks of one store, and charge one call to its rate; None if none is due."""
        flat = self._run(
            "looks",
            limit=PER_CALL,
            again_ms=AGAIN_MS,
            put_off_ms=PUT_OFF_MS,
            patience_ms=PATIENCE_MS,
        )
        if not flat:
            return None
        store_id, sealed, *ids = flat
        return Looks(store_id, sealed, self._records.load_all(ids))

    def unchanged(
        self, store_id: str, refund_ids: Iterable[str], *, for_ms: int, calls: int = 0
    ) -> None:
        """Record that nothing has changed; *calls* were made beyond the one that was charged."""
        self._record(store_id, refund_ids, for_ms=for_ms, calls=calls)

    def failed(self, store_id: str, refund_ids: Iterable[str], *, for_ms: int) -> None:
        """Record that nothing was found out; the looks are made again."""
        self._record(store_id, refund_ids, for_ms=for_ms, failed=True)

    def throttled(self, store_id: str, *, pause_ms: int) -> None:
        """Record that Wix throttled the store; *pause_ms* is 0 if it does not say for how long."""
        self._record(store_id, [], for_ms=0, throttled=True, pause_ms=pause_ms)

    def changed(self, refund: Refund, change: Change, *, for_ms: int) -> None:
        """Record a change, if the record is still the one that was looked at."""
        changed: dict[str, Any] = {
            "version": str(refund.version),
            "facts": change.facts.to_json(),
            "history": json.dumps(redact(change.line), separators=(",", ":"), ensure_ascii=False),
            "outcome": dict(change.outcome),
        }
        if change.reason:
            changed["reason"] = json.dumps(redact(change.reason), ensure_ascii=False)
        self._record(refund.request.store_id, [refund.refund_id], for_ms=for_ms, **changed)

    def _record(self, store_id: str, refund_ids: Iterable[str], **found: Any) -> None:
        given = {"failed": False, "calls": 0} | found
        self._run("watched", store_id=store_id, refund_ids=list(refund_ids), **given)
