"""What a flow gets and what it returns: the interface between the flows and `worker.steps`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NamedTuple

from config.settings import Settings
from statemachine.flows import Flow, State
from worker.errors import Permanent
from worker.flows.reads import Answer, Reads, Seen
from worker.refund.facts import NO_FACTS, Facts
from worker.refund.record import Refund
from worker.wix.billing import Transactions, WixRefund
from worker.wix.client import WixStore
from worker.wix.models import Fulfillment, Order

#: Why a step waits for the settle delay, after the name of a call; `refunds show` knows it by this.
UNSURE = "may still take effect"
#: How many looks in a row may not find an order before it is believed to be missing.
MISSING_LOOKS = 8
#: Looks after the settle delay that must show nothing before a call is made again.
QUIET_LOOKS = 2


class Advance(NamedTuple):
    """The transition is done."""

    to: State
    facts: Facts = NO_FACTS
    """What the step learned; added to the record."""
    flow: Flow | None = None
    """The flow that `assess_order` chose."""
    found: bool = False
    """Whether an earlier attempt, whose reply was lost, had already done it."""
    by_merchant: bool = False
    """Whether the merchant had already done it."""


class Wait(NamedTuple):
    """Nothing failed; look again later. This does not use up an attempt."""

    why: str
    """For the history and the log."""
    in_ms: int
    effect_known: bool
    """Whether this look showed what an earlier call did, so that its intent is cleared."""
    facts: Facts = NO_FACTS
    """What the step learned; added to the record."""


@dataclass(kw_only=True)
class Step:
    """One execution of one transition."""

    refund: Refund
    wix: WixStore
    now_ms: int
    """The ledger's time when the step was claimed."""
    settings: Settings
    refunds_of_order: Callable[[], Iterable[str]]
    """Returns the ids of all our refunds of the order; asks the ledger."""
    reads: Reads = field(default_factory=Reads)
    """What the step before this one read at Wix moments ago, and what this one reads."""
    shared_order: Callable[[], Order | None] = lambda: None
    """Returns the order as a search has found it for many refunds, if it has."""
    moves: Decimal | None = None
    """What the refund call that is about to be made returns to the buyer; None if it is not known,
    or if there is none."""
    learned: Facts = NO_FACTS
    """What the step learned; added to the record even if the step fails."""
    notices: list[dict[str, Any]] = field(default_factory=list)
    """Events that are logged and written into the history beside the step's own."""
    _known: tuple[Facts, Facts] | None = field(default=None, init=False, repr=False)
    """What was learned when `facts` was last asked for, and the facts."""

    def followed_by(self, refund: Refund) -> Step:
        """Return the step that follows at once, with this record; it makes no call."""
        return Step(
            refund=refund,
            wix=self.wix.silent(),
            now_ms=self.now_ms,
            settings=self.settings,
            refunds_of_order=self.refunds_of_order,
            reads=self.reads,
            shared_order=self.shared_order,
            moves=self.moves,
        )

    def learn(self, facts: Facts) -> None:
        """Add to what the step learned."""
        self.learned |= facts

    @property
    def facts(self) -> Facts:
        """The facts of the record, with those that this step has learned so far."""
        if self._known is None or self._known[0] is not self.learned:
            self._known = (self.learned, self.refund.facts | self.learned)
        return self._known[1]

    @property
    def order_id(self) -> str:
        """Wix's id of the order."""
        return self.refund.request.order_id

    def read_order(self) -> Order:
        """Read the order now."""
        at_s = self.reads.now_s()
        order = self.wix.get_order(self.order_id)
        self.reads.order = Seen(at_s, order)
        return order

    def recent_order(self) -> Order:
        """Return the order as it was moments ago; read it if nothing so new is known."""
        return self._recent(self.reads.order) or self.read_order()

    def note_unfulfilled(self) -> None:
        """Note that Wix has answered that no fulfillment is left, after it showed the order."""
        if seen := self.reads.order:
            shown = seen.answer.model_copy(update={"fulfillment_status": "NOT_FULFILLED"})
            self.reads.order = Seen(seen.at_s, shown)

    def read_fulfillments(self) -> tuple[Fulfillment, ...]:
        """List the order's fulfillments now."""
        at_s = self.reads.now_s()
        listed = self.wix.list_fulfillments(self.order_id).fulfillments
        self.reads.fulfillments = Seen(at_s, listed)
        return listed

    def recent_fulfillments(self) -> tuple[Fulfillment, ...]:
        """Return the fulfillments of moments ago; list them if nothing so new is known."""
        listed = self._recent(self.reads.fulfillments)
        return self.read_fulfillments() if listed is None else listed

    def read_transactions(self) -> Transactions:
        """List the order's payments and refunds now."""
        at_s = self.reads.now_s()
        transactions = self.wix.list_transactions(self.order_id)
        self.reads.transactions = Seen(at_s, transactions)
        return transactions

    def recent_transactions(self) -> Transactions:
        """Return the transactions of moments ago; list them if nothing so new is known."""
        return self._recent(self.reads.transactions) or self.read_transactions()

    def note_refund(self, refund: WixRefund) -> None:
        """Note the refund that Wix has answered with, beside the transactions before it."""
        if seen := self.reads.transactions:
            refunds = (*seen.answer.refunds, refund)
            self.reads.transactions = Seen(
                seen.at_s, seen.answer.model_copy(update={"refunds": refunds})
            )

    def _recent(self, seen: Seen[Answer] | None) -> Answer | None:
        """Return an answer that may still count: never after a call with an unknown effect."""
        return None if self.may_have_happened else self.reads.fresh(seen)

    @property
    def may_have_happened(self) -> bool:
        """Whether an earlier call may have had an effect at Wix that we do not know of."""
        return self.refund.intent_at_ms > 0 or self.refund.facts.unclear_sends > 0

    @property
    def effect_in_doubt(self) -> bool:
        """Whether an earlier call may have had an effect that no person has ruled out."""
        return self.may_have_happened and not self.refund.effect_ruled_out

    @property
    def unsure_for_ms(self) -> int:
        """How much longer an earlier call may still take effect; 0 if it no longer can."""
        if not self.refund.intent_at_ms:
            return 0
        return max(0, self.refund.intent_at_ms + self.settings.settle_delay_ms - self.now_ms)

    def unsure_wait(self, why: str) -> Wait | None:
        """Return a wait while "Wix does not show it" does not yet mean that it was not done.

        That is the settle delay after an unclear call; and after it, a second look some time later,
        since a list of Wix's may lag as well.
        """
        if self.unsure_for_ms:
            return Wait(why=why, in_ms=self.unsure_for_ms, effect_known=False)
        looks = self.refund.facts.quiet_looks + 1
        if self.effect_in_doubt and looks < QUIET_LOOKS:
            in_ms = max(1, self.settings.settle_delay_ms // 2)
            return Wait(why=why, in_ms=in_ms, effect_known=False, facts=Facts(quiet_looks=looks))
        return None

    def missing_wait(self, error: Permanent) -> Wait | None:
        """Return a wait after an answer that Wix does not know the order: it may appear again."""
        if error.status != 404 or self.looks + 1 >= MISSING_LOOKS:
            return None
        why, is_known = "Wix does not know the order", not self.may_have_happened
        return self.wait(why, self.next_look_ms, effect_known=is_known)

    @property
    def looks(self) -> int:
        """How many times this transition has waited so far."""
        return self.refund.facts.looks

    @property
    def waiting_for_ms(self) -> int:
        """How long this transition has been waiting; 0 the first time."""
        return self.now_ms - (self.refund.facts.waiting_since_ms or self.now_ms)

    @property
    def next_look_ms(self) -> int:
        """The wait before the next look; it doubles with each look, up to the cap."""
        first_ms, cap_ms = self.settings.confirm_first_ms, self.settings.confirm_cap_ms
        return min(cap_ms, first_ms << min(self.looks, 40))

    def wait(self, why: str, in_ms: int, *, effect_known: bool, facts: Facts = NO_FACTS) -> Wait:
        """Return a wait that counts this look."""
        since_ms = self.now_ms - self.waiting_for_ms
        counted = Facts(looks=self.looks + 1, waiting_since_ms=since_ms)
        return Wait(why=why, in_ms=in_ms, effect_known=effect_known, facts=facts | counted)
