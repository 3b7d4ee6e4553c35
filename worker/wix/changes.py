"""The parts of a search for orders that have changed. W22, W27."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from pydantic import Field

from worker.wix.models import Answer, Lenient, Moment


class Activity(Answer):
    """One entry of what happened to an order. W27."""

    activity_type: Lenient[str] = None
    created_date: Lenient[Moment] = None


class ChangedOrder(Answer):
    """An order that has changed: what tells whether it was cancelled, and when."""

    id: str
    updated_date: Moment
    status: str
    number: Lenient[str] = None
    currency: str = Field(pattern="^[A-Z]{3}$")
    activities: Lenient[tuple[Activity, ...]] = None

    @property
    def updated_ms(self) -> int:
        """When it was changed, unix ms."""
        return ms_of(self.updated_date)

    @property
    def is_cancelled(self) -> bool:
        """Whether Wix shows it as cancelled, which is final."""
        return self.status == "CANCELED"

    @property
    def cancelled_at(self) -> datetime | None:
        """When it was cancelled; None if Wix does not list that. W27."""
        listed = self.activities or ()
        dates = [one.created_date for one in listed if one.activity_type == "ORDER_CANCELED"]
        return next((date for date in dates if date), None)


class Cursors(Answer):
    """Where the next page begins."""

    next: Lenient[str] = None


class Metadata(Answer):
    """What a search says beside what it found."""

    cursors: Lenient[Cursors] = None


class ChangedOrders(Answer):
    """The answer of a search for orders that have changed.

    All of them must be readable: a change that is passed over would never be told.
    """

    orders: tuple[ChangedOrder, ...]
    metadata: Lenient[Metadata] = None

    @property
    def next_page(self) -> str:
        """The cursor of the next page; "" if Wix does not say that there is one."""
        cursors = self.metadata.cursors if self.metadata else None
        return (cursors.next if cursors else None) or ""


def ms_of(moment: datetime) -> int:
    """Return a moment as unix ms."""
    return int(moment.timestamp() * 1000)


def changed_since(since_ms: int) -> dict[str, Any]:
    """Return the search for orders that changed at or after a moment, the oldest change first."""
    text = datetime.fromtimestamp(since_ms / 1000, UTC).isoformat(timespec="milliseconds")
    return {
        "filter": {"updatedDate": {"$gte": text.replace("+00:00", "Z")}},
        "sort": [{"fieldName": "updatedDate", "order": "ASC"}],
    }
