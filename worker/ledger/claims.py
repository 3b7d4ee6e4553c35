"""What a step gets from the ledger (its claim) and gives to it (its commit)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from statemachine.flows import State
from worker.refund.facts import Facts
from worker.refund.record import Refund


class Claim(NamedTuple):
    """The answer to a claim; `refund` is None only when the id is not known."""

    status: Literal[
        "claimed", "unknown", "newer", "refused", "early", "busy", "suspended", "paused",
        "on_hold", "paced",
    ]  # fmt: skip
    now_ms: int
    fence: int
    refund: Refund | None
    sealed: str = ""
    """The store's sealed key as it is now, "" when the vault has none."""
    epoch: int = 0
    """Counts the store's connects, resumes and disconnects: an older refusal is ignored."""
    disconnected: bool = False
    waiting: int = 0
    """How many refunds wait in the store's lane."""


class Intent(NamedTuple):
    """The answer to a step that is about to make a mutating call."""

    status: Literal["written", "lost", "held_back", "unconfirmed", "needs_approval", "expired"]
    wait_ms: int
    """How long to wait before another attempt, when it is held back or unconfirmed."""
    asks: Mapping[str, Any] = MappingProxyType({})
    """The limits that it would exceed, and how many people must approve it (`lua/guards.lua`)."""


class StepCommit(NamedTuple):
    """What a step changes."""

    state: State
    next: Literal["now", "later", "end", "lane"]
    """The next transition now; the same one later; none; the same one when the lane continues."""
    due_in_ms: int = 0
    facts: Facts | None = None
    """All facts; None to leave them as they are."""
    fields: Mapping[str, str | int] = MappingProxyType({})
    """What else changes in the record."""
    history: tuple[Mapping[str, Any], ...] = ()
    wix_calls: int = 0
    intent: Literal["clear", "keep", "open"] = "clear"
    """What is known about the call's effect: all of it; no more than before; nothing."""
    uncounted: bool = False
    """A wait: this attempt does not count."""
    next_calls: int | None = None
    """With next "now": how many calls the next step will make; None for the usual number."""
    steps: int = 1
    """How many steps this is the result of."""
    outcome: Mapping[str, str] | None = None
    """The event for upstream."""
    asks: Mapping[str, Any] | None = None
    """With next "lane": what a person must approve (`lua/guards.lua`)."""
    counts: Mapping[str, Any] | None = None
    """What the money guards count if they have not (`lua/guards.lua`): it was found at Wix."""
    also: Mapping[str, str] | None = None
    """Another event for upstream."""
    watch_in_ms: int = 0
    """When to look again at a finished refund; 0 for never."""
    accepted_endpoints: tuple[str, ...] = ()
    """The endpoints of Wix that accepted the store's key in this step."""
    suspension: Mapping[str, Any] | None = None
    """With next "lane": why the store is suspended (worker.ledger.stores)."""
    wix_outcome: Literal["", "answered", "failed"] = ""
    """Whether Wix answered the step's last call; "" if it made none."""
    throttled: bool = False
    """Whether Wix throttled the store: its refunds pause, and its rate is halved."""
    pause_ms: int = 0
    """How long they pause; 0 if Wix does not say."""
    lacking: str = ""
    """The endpoint that the store's key is not permitted to call, "" if none was found."""


class Change(NamedTuple):
    """What a look at a finished refund found to be different."""

    line: Mapping[str, Any]
    """The history line."""
    facts: Facts
    outcome: Mapping[str, str]
    """The event for upstream."""
    reason: Mapping[str, Any] | None = None
    """Why it becomes a dead letter, None when it stays finished."""


class Woken(NamedTuple):
    """The answer to one tick of the scheduler."""

    leads: bool
    woken: int
    """How many refunds were due."""
    stepped_ms: int = 0
    """By how much the clock of the Redis server stepped since the last tick."""
