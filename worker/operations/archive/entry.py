"""One line of the archive: a finished refund, complete, as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from worker.ledger.keeping import Finished
from worker.refund.record import Refund, refund_from
from worker.refund.stakes import stake_of

#: The version of the lines.
FORMAT = 1


def day_of(at_ms: int) -> date:
    """Return the day (UTC) of a time, unix ms."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).date()


def line_of(one: Finished) -> str:
    """Return the line of a refund. The same record always has the same line."""
    refund, stake = one.refund, stake_of(one.refund)
    told = {
        "format": FORMAT,
        "refund_id": refund.refund_id,
        "store_id": refund.request.store_id,
        "order_id": refund.request.order_id,
        "state": refund.state.value,
        "accepted_at_ms": refund.accepted_at_ms,
        "ended_at_ms": one.ended_at_ms,
        "amount": stake.amount or None,
        "currency": stake.currency or None,
        "wix_refund_id": refund.facts.wix_refund_id or None,
        "record": {name: text for name, text in one.fields.items() if name != "packed"},
        "history": [_parsed(line) for line in one.history],
    }
    return json.dumps(told, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _parsed(line: str) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return {"damaged": line}


@dataclass(frozen=True)
class Archived:
    """A refund as the archive has it."""

    told: Mapping[str, Any]
    """The whole line."""

    @property
    def refund_id(self) -> str:
        """The caller's idempotency key."""
        return str(self.told["refund_id"])

    @property
    def version(self) -> int:
        """The version of the record; a later one replaces an earlier one."""
        return int(self.told["record"]["version"])

    @property
    def refund(self) -> Refund:
        """The record, as the ledger had it."""
        return refund_from(self.told["record"])

    @property
    def history(self) -> list[dict[str, Any]]:
        """The history, oldest first."""
        return list(self.told["history"])


def archived_from(line: str) -> Archived:
    """Read a line.

    Raises:
        ValueError: it is none.
    """
    told = json.loads(line)
    if not isinstance(told, dict) or not {"refund_id", "record", "history"} <= set(told):
        raise ValueError("this is no line of the archive")
    return Archived(told)
