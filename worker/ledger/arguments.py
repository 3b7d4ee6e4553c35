"""The arguments of the ledger's scripts, as JSON will hold them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from worker.ledger.claims import Claim, StepCommit
from worker.observability.compact import redacted_json
from worker.queue.delivery import Delivery


def history_line(line: Mapping[str, Any]) -> str:
    """Return a line of the history, without its time."""
    return redacted_json(line)


def _of(delivery: Delivery) -> dict[str, Any]:
    chain = delivery.chain
    return {
        **delivery.fields(),
        "token": delivery.token,
        "hands_over": chain is not None and chain.may_go_on(),
        "gives_way": chain is not None and chain.is_long,
    }


def commit_arguments(
    claim: Claim, commit: StepCommit, delivery: Delivery
) -> tuple[dict[str, Any], list[str]]:
    """Return what `commit.lua` needs of a step's result, and the texts in it."""
    fields = {**({"facts": commit.facts.to_json()} if commit.facts else {}), **commit.fields}
    texts = [text for name, value in fields.items() for text in (name, str(value))]
    texts += [history_line(line) for line in commit.history]
    events: dict[str, Any] = {}
    for name, event in (("outcome", commit.outcome), ("also", commit.also)):
        if event:
            events[name] = {"type": event["type"], "step": event["step"]}
            texts.append(event["data"])
    known = {} if commit.next_calls is None else {"next_calls": commit.next_calls}
    sometimes = {
        "due_in_ms": commit.due_in_ms,
        "uncounted": commit.uncounted,
        "watch_in_ms": commit.watch_in_ms,
        "lacking": commit.lacking,
        "throttled": commit.throttled,
        "pause_ms": commit.pause_ms,
        "suspension": commit.suspension and dict(commit.suspension),
        "asks": commit.asks and dict(commit.asks),
        "counts": commit.counts and dict(commit.counts),
    }
    always = {
        **_of(delivery),
        "fence": str(claim.fence),
        "state": str(commit.state),
        "next": commit.next,
        "fields": len(fields),
        "lines": len(commit.history),
        "wix_calls": commit.wix_calls,
        "intent": commit.intent,
        "steps": commit.steps,
        "accepted_endpoints": list(commit.accepted_endpoints),
        "wix_outcome": commit.wix_outcome,
        "epoch": str(claim.epoch),
    }
    return always | events | known | {k: v for k, v in sometimes.items() if v}, texts
