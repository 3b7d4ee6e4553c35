"""What a person selects: the same for lists and for acts on many. `searching.py` finds it."""

from __future__ import annotations

from dataclasses import dataclass, fields
from decimal import Decimal
from typing import Literal

from statemachine.flows import State, Transition

#: Where refunds are looked for: all; dead letters; those that wait for a retry; those that have not
#: ended; those on hold; those that wait for an approval.
Pool = Literal["all", "dead", "due", "unfinished", "on_hold", "approvals"]

#: The options of fields that are not named like them.
_OPTIONS = {"reason": "reason-code", "since_ms": "since", "until_ms": "until"}


@dataclass(frozen=True, kw_only=True)
class Selection:
    """What must be true of each; a filter that is not given lets all pass."""

    store: str = ""
    order: str = ""
    refund: str = ""
    """An id, or the beginning of one and `*`."""
    reason: str = ""
    """Our reason code."""
    code: str = ""
    """Wix's error code, or the HTTP status of an answer without one."""
    state: State | None = None
    """For a dead letter, the state in which it died."""
    transition: Transition | None = None
    """The transition that is due; for a dead letter, the one at which it died."""
    since_ms: int = 0
    """From this time on: of death for a dead letter, else of acceptance; 0 for any."""
    until_ms: int = 0
    text: str = ""
    """A part of its ids, its reason, or of reason and requester in its job; in any case."""
    amount_over: Decimal | None = None
    """Only known amounts of more than this, in any currency."""

    @property
    def is_empty(self) -> bool:
        """Whether it lets all pass."""
        return self == Selection()

    def __str__(self) -> str:
        given = {f.name: getattr(self, f.name) for f in fields(self)}
        shown = {_OPTIONS.get(name, name): value for name, value in given.items() if value}
        options = (f"--{name.replace('_', '-')} {value}" for name, value in shown.items())
        return " ".join(options) or "all"
