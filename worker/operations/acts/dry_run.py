"""What a replay would do, found out by asking Wix now; nothing is changed anywhere.

The replay's own steps run with a client that stops at the first call that would change something.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Literal, NoReturn, cast

from statemachine.flows import TERMINAL, State, next_transition
from worker.errors import Buried, CallFailed, Permanent, Rejected, WorkerError
from worker.flows.actions import ACTIONS
from worker.flows.guarding import guard_of
from worker.flows.step import Step, Wait
from worker.operations.acts.wix_desk import WixDesk
from worker.operations.dead_letters import CannotReplay, check_replay, facts_after_replay
from worker.refund.approvals import approval_from
from worker.refund.facts import Facts, Lifetime
from worker.refund.reasons import end_with
from worker.refund.record import Refund
from worker.stores.vault import NoKey
from worker.wix.client import WixStore

#: More steps than any refund has without changing anything.
ROUNDS = 12

Kind = Literal[
    "done", "refund", "record", "change", "waits", "manual", "refused", "cannot", "unasked"
]

#: What a kind means, for the summary; {n} is the number of letters, {money} the sum.
SENTENCES: Mapping[Kind, str] = MappingProxyType(
    {
        "done": "{n} already done at Wix: closed as done, 0.00",
        "refund": "{n} would refund {money}",
        "record": "{n} would record at Wix what was paid manually, {money}; Wix moves nothing",
        "change": "{n} would {detail}; this moves no money",
        "waits": "{n} would wait: {detail}",
        "manual": "{n} needs a manual payment first, then --manual-done: {money}",
        "refused": "{n} would be refused again ({detail})",
        "cannot": "{n} cannot be replayed ({detail})",
        "unasked": "{n} cannot be told: {detail}",
    }
)


#: What is said of those that the money guards would hold.
APPROVAL = "would wait for an approval first, each looked at alone"


@dataclass(frozen=True)
class Foreseen:
    """What a replay of one letter would do."""

    refund_id: str
    kind: Kind
    detail: str = ""
    amount: Decimal | None = None
    """What would move, or would have to be paid; None if it is not known."""
    currency: str = ""
    approval: str = ""
    """Which limits of the money guards it would exceed, "" if none."""

    def public(self) -> dict[str, Any]:
        """Return it for JSON."""
        amount = f"{self.amount:f}" if self.amount is not None else None
        return {
            "id": self.refund_id,
            "result": self.kind,
            "detail": self.detail or None,
            "needs_approval": self.approval or None,
            "amount": amount,
            "currency": self.currency or None,
        }


class _WouldChange(WorkerError):
    """The replay would make this call."""

    def __init__(self, what: str, shares: Sequence[Mapping[str, Any]] = ()) -> None:
        self.what = what
        self.shares = shares
        super().__init__(what)


class _Looking:
    """Wix as a step sees it; a call that would change something says so instead."""

    def __init__(self, wix: WixStore) -> None:
        self._wix = wix

    def __getattr__(self, name: str) -> Any:
        return getattr(self._wix, name)

    def cancel_order(self, *_: Any, **__: Any) -> NoReturn:
        raise _WouldChange("cancel the order")

    def delete_fulfillment(self, *_: Any, **__: Any) -> NoReturn:
        raise _WouldChange("delete the fulfillments, then cancel the order")

    def create_fulfillment(self, *_: Any, **__: Any) -> NoReturn:
        raise _WouldChange("recreate the fulfillments")

    def void_payments(self, *_: Any, **__: Any) -> NoReturn:
        raise _WouldChange("void the authorized payments")

    def submit_refund(self, _: str, asked: Mapping[str, Any]) -> NoReturn:
        raise _WouldChange("refund", asked["paymentRefunds"])


def foresee(
    refund: Refund, desk: WixDesk, now_ms: int, *, manual_done: bool = False, not_done: bool = False
) -> Foreseen:
    """Say what a replay of this dead letter would do now."""
    try:
        check_replay(refund, manual_done=manual_done, not_done=not_done)
        wix = cast("WixStore", _Looking(desk.reader(refund)))
    except CannotReplay as error:
        return Foreseen(refund.refund_id, "cannot", str(refund.reason.get("reason", error)))
    except NoKey as error:
        return Foreseen(refund.refund_id, "unasked", str(error))
    facts = facts_after_replay(refund, manual_done=manual_done, not_done=not_done)
    replayed = refund._replace(
        state=State(refund.died_in),
        facts=facts,
        attempt=1,
        failing_since_ms=0,
        replayed_at_ms=now_ms,
        reason={},
    )
    return _walk(replayed, wix, desk, now_ms)


def _walk(refund: Refund, wix: WixStore, desk: WixDesk, now_ms: int) -> Foreseen:
    """Run one step after the other, as far as none changes anything."""
    for _ in range(ROUNDS):
        transition = next_transition(refund.state)
        if transition is None:
            break
        step = Step(
            refund=refund,
            wix=wix,
            now_ms=now_ms,
            settings=desk.settings,
            refunds_of_order=desk.refunds_of(refund),
        )
        try:
            result = ACTIONS[transition](step)
        except _WouldChange as change:
            guard = guard_of(step, transition)
            asks = desk.ledger.guards.foresee(refund, guard) if guard else {}
            why = approval_from(asks).why if asks else ""
            return replace(_change(refund._replace(facts=step.facts), change), approval=why)
        except (Rejected, Buried, CallFailed) as error:
            return _stopped(refund._replace(facts=step.facts), error)
        if isinstance(result, Wait):
            if result.in_ms:
                return Foreseen(refund.refund_id, "waits", result.why)
            refund = refund._replace(facts=step.facts | result.facts)
            continue
        facts = step.facts.forget(Lifetime.TRANSITION) | result.facts
        flow = result.flow.value if result.flow else refund.flow
        refund = refund._replace(state=result.to, facts=facts, flow=flow)
    if refund.state in TERMINAL:
        return Foreseen(refund.refund_id, "done", amount=Decimal(0), currency=refund.facts.currency)
    return Foreseen(refund.refund_id, "unasked", "the order keeps changing")


def _stopped(refund: Refund, error: Exception) -> Foreseen:
    """Say what the step that stopped means."""
    if isinstance(error, CallFailed) and not isinstance(error, Permanent):
        return Foreseen(refund.refund_id, "unasked", str(error))
    end = error if isinstance(error, Rejected | Buried) else None
    cause = end.cause if end else error
    if end is None and isinstance(error, Permanent):
        end = end_with("refused_by_wix", error)
    reason = end.reason if end else ""
    if reason == "manual_payment":
        asked = _asked(refund.facts)
        return Foreseen(refund.refund_id, "manual", "", asked, refund.facts.currency)
    said = [str(cause.status), cause.code or ""] if isinstance(cause, CallFailed) else []
    return Foreseen(refund.refund_id, "refused", " ".join(part for part in [*said, reason] if part))


def _asked(facts: Facts) -> Decimal | None:
    parts = [one.amount for one in facts.manual_asked.values()]
    return sum((Decimal(part) for part in parts), Decimal(0)) if parts and all(parts) else None


def _change(refund: Refund, change: _WouldChange) -> Foreseen:
    currency = refund.facts.currency
    if not change.shares:
        return Foreseen(refund.refund_id, "change", change.what)
    moved = [share for share in change.shares if not share.get("externalRefund")]
    counted = moved or change.shares
    amounts = [share["amount"]["amount"] for share in counted if "amount" in share]
    total = sum((Decimal(amount) for amount in amounts), Decimal(0))
    return Foreseen(refund.refund_id, "refund" if moved else "record", "", total, currency)


def summary(found: Iterable[Foreseen]) -> list[str]:
    """Return one sentence for each kind of result, with the number of letters and the money."""
    counts: Counter[tuple[Kind, str]] = Counter()
    sums: dict[tuple[Kind, str], dict[str, Decimal]] = {}
    held = 0
    for one in found:
        group = (one.kind, one.detail)
        counts[group] += 1
        held += bool(one.approval)
        if one.amount is not None:
            money = sums.setdefault(group, {})
            money[one.currency] = money.get(one.currency, Decimal(0)) + one.amount
    order = list(SENTENCES)
    groups = sorted(counts, key=lambda group: (order.index(group[0]), -counts[group]))
    sentences = [
        SENTENCES[kind].format(
            n=counts[kind, detail], detail=detail, money=money_text(sums.get((kind, detail), {}))
        )
        for kind, detail in groups
    ]
    return [*sentences, *([f"{held} of these {APPROVAL}"] if held else [])]


def money_text(sums: Mapping[str, Decimal]) -> str:
    """Return amounts per currency for people, "an unknown amount" if there is none."""
    parts = [f"{amount:,f} {currency}".strip() for currency, amount in sorted(sums.items())]
    return ", ".join(parts) or "an unknown amount"
