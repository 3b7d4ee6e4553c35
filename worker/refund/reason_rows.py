"""The rows of the table of reason codes."""

from __future__ import annotations

from typing import Literal, NamedTuple


class Reason(NamedTuple):
    """What a reason code means, how it ends, and what a person can do about it."""

    ends: Literal["rejected", "dead", "suspended", "held"]
    """A final answer for upstream, a dead letter, or no end: it waits, or all of its store do."""
    replayable: bool
    """Whether a replay can succeed once the remedy has been applied."""
    meaning: str
    """One sentence that upstream may show to its own support staff."""
    remedy: str
    """What a person can do about it."""


def rejected(meaning: str, remedy: str) -> Reason:
    """Return the row of a final answer for upstream."""
    return Reason("rejected", False, meaning, remedy)  # noqa: FBT003 - a row of a table


def dead(meaning: str, remedy: str, *, replayable: bool = True) -> Reason:
    """Return the row of a dead letter."""
    return Reason("dead", replayable, meaning, remedy)


def suspended(meaning: str, remedy: str) -> Reason:
    """Return the row of what makes all refunds of a store wait."""
    return Reason("suspended", False, meaning, remedy)  # noqa: FBT003 - a row of a table


def held(meaning: str, remedy: str) -> Reason:
    """Return the row of what makes one refund wait for a person."""
    return Reason("held", False, meaning, remedy)  # noqa: FBT003 - a row of a table
