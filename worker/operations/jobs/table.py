"""The acts that can be done in bulk: what each does to one item."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from worker.ledger.acts import Acts
from worker.ledger.audit_log import Operator
from worker.ledger.jobs import Due
from worker.operations import dead_letters
from worker.operations.acts import approvals, letters, refunds
from worker.operations.acts.letters import Paid
from worker.operations.acts.wix_desk import WixDesk
from worker.operations.selection import Pool


@dataclass(frozen=True, kw_only=True)
class Item:
    """One item of a bulk act, and all that is needed to do it."""

    due: Due
    acts: Acts
    desk: WixDesk
    operator: Operator
    arguments: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class BulkAct:
    """One row of the table."""

    pool: Pool
    """Where it looks for what a filter matches."""
    run: Callable[[Item], object]
    """Does it to one item.

    Raises:
        CannotAct: it is refused.
    """


def _replay(item: Item) -> None:
    dead_letters.replay(
        item.acts,
        item.due.id,
        operator=item.operator,
        manual_done=bool(item.arguments.get("manual_done")),
        version=item.due.version,
    )


def _resolve(item: Item) -> str:
    amount = item.arguments.get("amount")
    paid = Paid(Decimal(amount) if amount is not None else None)
    return letters.resolve(
        item.acts,
        item.due.id,
        operator=item.operator,
        paid=paid,
        desk=item.desk,
        version=item.due.version,
    )


def _discard(item: Item) -> None:
    letters.discard(item.acts, item.due.id, operator=item.operator, version=item.due.version)


def _edit(item: Item) -> object:
    return letters.edit(
        item.acts,
        item.due.id,
        item.arguments,
        operator=item.operator,
        version=item.due.version,
    )


BULK: Mapping[str, BulkAct] = MappingProxyType(
    {
        "dead.replay": BulkAct(pool="dead", run=_replay),
        "dead.resolve": BulkAct(pool="dead", run=_resolve),
        "dead.discard": BulkAct(pool="dead", run=_discard),
        "edit": BulkAct(pool="dead", run=_edit),
        "retry": BulkAct(
            pool="due", run=lambda it: refunds.retry(it.acts, it.due.id, operator=it.operator)
        ),
        "cancel": BulkAct(
            pool="unfinished",
            run=lambda it: refunds.cancel(it.acts, it.due.id, operator=it.operator),
        ),
        "hold": BulkAct(
            pool="unfinished",
            run=lambda it: refunds.hold(it.acts, it.due.id, operator=it.operator),
        ),
        "approve": BulkAct(
            pool="approvals",
            run=lambda it: approvals.approve(
                it.acts, it.due.id, operator=it.operator, version=it.due.version
            ),
        ),
        "approve.reject": BulkAct(
            pool="approvals",
            run=lambda it: approvals.reject(
                it.acts, it.due.id, operator=it.operator, version=it.due.version
            ),
        ),
        "release": BulkAct(
            pool="on_hold",
            run=lambda it: refunds.release(it.acts, it.due.id, operator=it.operator),
        ),
    }
)
