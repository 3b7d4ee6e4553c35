"""All that is told about one refund; also about one that only the archive has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from worker.ledger import whereabouts
from worker.ledger.stores import Stores
from worker.operations import timeline
from worker.operations.archive.entry import day_of
from worker.operations.archive.folder import Folder
from worker.operations.archive.reading import Place, Reading
from worker.queue.broker import Broker
from worker.refund.record import Refund
from worker.refund.tombstone import Tombstone

#: What is told of the refund's store.
SHOWN_OF_STORE = (
    *("state", "name", "waiting", "in_flight", "suspended_since_ms", "suspended_because"),
    *("last_success_at_ms", "last_error_at_ms"),
)


def store_state(state: str) -> str:
    """Return the state of a store for people; if it has a key, that is in REFUNDS_STORES then."""
    return "not in the vault" if state == "given" else state


def describe(
    refund: Refund, history: list[dict[str, Any]], broker: Broker, stores: Stores
) -> dict[str, Any]:
    """Return all that is told about a refund."""
    store = stores.find(refund.request.store_id)
    where = whereabouts.find(broker.client, stores.ns, refund.refund_id, refund.request.store_id)
    why = timeline.last_wait(history)
    return {
        **refund.public(),
        "money": timeline.money(refund),
        "waits": timeline.waits_for(refund, where, store, why),
        "store": {name: value for name, value in store.public().items() if name in SHOWN_OF_STORE},
        "at_ms": where.now_ms,
        "timeline": timeline.timeline(history),
        "history": history,
    }


def archived(archive: Path | None, refund_id: str, left: Tombstone) -> tuple[Place | None, str]:
    """Return a forgotten refund from the archive, or why it cannot be told.

    The tombstone says on which day it ended, so only that day is read at first.
    """
    day = day_of(left.ended_at_s * 1000)
    problem = "REFUNDS_ARCHIVE is not set here"
    if archive:
        reading = Reading(Folder(archive))
        if place := reading.one(refund_id, day) or reading.one(refund_id):
            return place, ""
        problem = reading.problems[0] if reading.problems else f"{archive} does not have it"
    return None, f"The archive has the rest, day {day}: {problem}."


def described_tombstone(refund_id: str, left: Tombstone) -> dict[str, Any]:
    """Return what the ledger still knows of a refund that it has forgotten."""
    return {
        "refund_id": refund_id,
        "state": left.state.value,
        "amount": left.amount or None,
        "currency": left.currency or None,
        "wix_refund_id": left.wix_refund_id or None,
        "ended_at_ms": left.ended_at_s * 1000,
        "forgotten": True,
    }
