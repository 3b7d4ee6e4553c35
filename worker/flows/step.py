"""What a step sees and what it may answer: the words in which the flows speak to `steps.py`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from config.settings import Settings
from statemachine.flows import State
from worker.refund.record import Refund
from worker.wix.client import WixStore


@dataclass(frozen=True, kw_only=True)
class Advance:
    """The transition is done."""

    to: State
    facts: Mapping[str, Any] = field(default_factory=dict)
    """What we learnt; added to the record."""
    found: bool = False
    """It was done before: by an earlier attempt of ours whose reply was lost ..."""
    by_merchant: bool = False
    """... or by the merchant."""


@dataclass(frozen=True, kw_only=True)
class Wait:
    """Nothing failed; look again later. No attempt is spent."""

    why: str
    in_ms: int
    facts: Mapping[str, Any] = field(default_factory=dict)
    effect_known: bool = False
    """Whether this look settled what an earlier announcement left open."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """One execution of one transition."""

    refund: Refund
    wix: WixStore
    now_ms: int
    """The ledger's time when the step was claimed."""
    settings: Settings
    notes: dict[str, Any] = field(default_factory=dict)
    """What the step learnt even if it fails; added to the record."""

    @property
    def order_id(self) -> str:
        """The order it is about."""
        return self.refund.request.order_id

    @property
    def unclear_sends(self) -> int:
        """How many mutating calls of this transition ended without an outcome we know."""
        return int(self.refund.facts.get("unclear_sends", 0))

    @property
    def may_have_happened(self) -> bool:
        """Whether an earlier attempt may have changed something at Wix without our knowing."""
        return self.refund.intent_at_ms > 0 or self.unclear_sends > 0

    @property
    def is_vouched(self) -> bool:
        """Whether a person, asked about an unclear call, let it go on: it was not done, then."""
        was_asked = bool(self.refund.facts.get("asked_a_person"))
        return was_asked and self.refund.replayed_at_ms > self.refund.intent_at_ms

    @property
    def unsure_for_ms(self) -> int:
        """How long "Wix does not show it" is not yet to be believed; 0 when it is."""
        if not self.refund.intent_at_ms:
            return 0
        return max(0, self.refund.intent_at_ms + self.settings.settle_delay_ms - self.now_ms)

    @property
    def looks(self) -> int:
        """How often this transition has waited so far."""
        return int(self.refund.facts.get("looks", 0))

    @property
    def waiting_for_ms(self) -> int:
        """Since when it waits, 0 the first time."""
        return self.now_ms - int(self.refund.facts.get("waiting_since_ms", self.now_ms))

    @property
    def next_look_ms(self) -> int:
        """The wait before the next look: it doubles from one to the next, up to the cap."""
        first_ms, cap_ms = self.settings.confirm_first_ms, self.settings.confirm_cap_ms
        return min(cap_ms, first_ms << min(self.looks, 40))

    def wait(self, why: str, in_ms: int, *, effect_known: bool = True, **facts: Any) -> Wait:
        """Wait once more, counting the looks; mostly what was announced before has ended."""
        since_ms = self.now_ms - self.waiting_for_ms
        counted = {"looks": self.looks + 1, "waiting_since_ms": since_ms}
        return Wait(why=why, in_ms=in_ms, facts=facts | counted, effect_known=effect_known)
