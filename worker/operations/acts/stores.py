"""Let the lane of a store wait, or those of all stores, until a person resumes it."""

from __future__ import annotations

from worker.ledger.acts import ALL_STORES, Acts
from worker.ledger.audit_log import Operator
from worker.operations.acts.refusals import CannotAct


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


def _subject(store_id: str) -> str:
    return "" if store_id == ALL_STORES else store_id
