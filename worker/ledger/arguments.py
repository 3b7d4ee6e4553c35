"""The arguments of the ledger's scripts, as JSON will hold them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from worker.ledger.claims import Claim, StepCommit
from worker.observability.compact import redacted_json


def history_line(line: Mapping[str, Any]) -> str:
    """Return a line of the history, without its time."""
    return redacted_json(line)


def commit_arguments(claim: Claim, commit: StepCommit) -> dict[str, Any]:
    """Return what `commit.lua` needs of a step's result."""
    given = {
        "suspension": commit.suspension,
        "outcome": commit.outcome,
        "also": commit.also,
        "asks": commit.asks,
        "counts": commit.counts,
    }
    known = {} if commit.next_calls is None else {"next_calls": commit.next_calls}
    return {
        **known,
        "fence": str(claim.fence),
        "state": commit.state.value,
        "next": commit.next,
        "due_in_ms": commit.due_in_ms,
        "fields": {name: str(value) for name, value in commit.fields.items()},
        "history": [history_line(line) for line in commit.history],
        "wix_calls": commit.wix_calls,
        "intent": commit.intent,
        "uncounted": commit.uncounted,
        "steps": commit.steps,
        "watch_in_ms": commit.watch_in_ms,
        "accepted_endpoints": list(commit.accepted_endpoints),
        "lacking": commit.lacking,
        "wix_outcome": commit.wix_outcome,
        "throttled": commit.throttled,
        "pause_ms": commit.pause_ms,
        "epoch": str(claim.epoch),
    } | {name: dict(value) for name, value in given.items() if value}
