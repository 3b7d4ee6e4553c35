"""A selection of refunds and dead letters: what lists show, and what bulk acts act on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from decimal import Decimal
from typing import Any, Literal

from statemachine.flows import ACTIVE, State, Transition, next_transition
from worker.ledger.records import Records
from worker.refund.record import Refund

#: Where refunds are looked for: dead letters, messages included; those that wait for a retry; those
#: that have not ended; those on hold; those that wait for an approval.
Pool = Literal["dead", "due", "unfinished", "on_hold", "approvals"]


@dataclass(frozen=True, kw_only=True)
class Selection:
    """What must be true of each; a filter that is not given lets all pass."""

    store: str = ""
    order: str = ""
    refund: str = ""
    reason: str = ""
    """Our reason code."""
    code: str = ""
    """Wix's error code, or the HTTP status."""
    state: State | None = None
    """For a dead letter, the state in which it died."""
    transition: Transition | None = None
    """The transition that is due; for a dead letter, the one at which it died."""
    since_ms: int = 0
    """From this time on: of death for a dead letter, else of acceptance; 0 for any."""
    until_ms: int = 0
    text: str = ""
    """A part of its reason, detail or metadata, in any case."""
    amount_over: Decimal | None = None
    """Only known amounts of more than this, in any currency."""

    @property
    def is_empty(self) -> bool:
        """Whether it lets all pass."""
        return self == Selection()

    def __str__(self) -> str:
        given = {f.name: getattr(self, f.name) for f in fields(self)}
        shown = {name.removesuffix("_ms"): value for name, value in given.items() if value}
        options = (f"--{name.replace('_', '-')} {value}" for name, value in shown.items())
        return " ".join(options) or "all"

    def matches(self, refund: Refund) -> bool:
        """Whether a refund is selected."""
        is_dead = refund.state is State.DEAD
        stopped_in = State(refund.died_in) if is_dead and refund.died_in else refund.state
        moment_ms = refund.updated_at_ms if is_dead else refund.accepted_at_ms
        amount = amount_of(refund)[0]
        return (
            self.store in ("", refund.request.store_id)
            and self.order in ("", refund.request.order_id)
            and self.refund in ("", refund.refund_id)
            and self.reason in ("", refund.reason.get("reason"))
            and self.code in ("", *_codes(refund.reason))
            and self.state in (None, refund.state, stopped_in)
            and self.transition in (None, next_transition(stopped_in))
            and self.since_ms <= moment_ms
            and (not self.until_ms or moment_ms < self.until_ms)
            and (self.amount_over is None or (amount is not None and amount > self.amount_over))
            and (not self.text or self.text.lower() in _texts(refund).lower())
        )

    def matches_message(self, message_id: str, letter: Mapping[str, Any]) -> bool:
        """Whether the letter of a message is selected; it has no state, time or amount."""
        if self.code or self.state or self.transition or self.since_ms or self.until_ms:
            return False
        if self.amount_over is not None:
            return False
        job = letter.get("job")
        known: Mapping[str, Any] = job if isinstance(job, Mapping) else {}
        return (
            self.store in ("", known.get("store_id"))
            and self.order in ("", known.get("order_id"))
            and self.refund in ("", message_id, known.get("refund_id"))
            and self.reason in ("", letter.get("reason"))
            and (not self.text or self.text.lower() in str(letter).lower())
        )


def _codes(reason: Mapping[str, Any]) -> tuple[str, str]:
    return str(reason.get("wix_code", "")), str(reason.get("http_status", ""))


def _texts(refund: Refund) -> str:
    found = [str(value) for value in refund.reason.values()]
    job = refund.request
    return " ".join([*found, job.reason, job.requested_by, *job.metadata.values()])


@dataclass(frozen=True, kw_only=True)
class Selected:
    """A refund or letter as it was selected."""

    id: str
    version: int | None
    """None for a message that never became a refund."""
    amount: Decimal | None
    currency: str


def select(
    records: Records,
    messages: Mapping[str, Mapping[str, Any]],
    selection: Selection,
    pool: Pool,
) -> Iterator[Selected]:
    """Yield what is selected; *messages* are the letters of messages that became no refund."""
    for refund in _candidates(records, selection, pool):
        if _is_in(refund, pool) and selection.matches(refund):
            yield selected(refund)
    if pool == "dead":
        for message_id, letter in messages.items():
            if selection.matches_message(message_id, letter):
                yield Selected(id=message_id, version=None, amount=None, currency="")


def _candidates(records: Records, selection: Selection, pool: Pool) -> Iterator[Refund]:
    """Yield all that may be selected, by the narrowest index."""
    if selection.refund:
        return iter(records.load_all([selection.refund]))
    if selection.order and selection.store:
        return iter(records.load_all(records.of_order(selection.store, selection.order)))
    if pool == "unfinished":
        states = [selection.state] if selection.state in ACTIVE else sorted(ACTIVE)
        return records.listed(*(f"state:{state}" for state in states))
    return records.listed(pool)


def _is_in(refund: Refund, pool: Pool) -> bool:
    return {
        "dead": refund.state is State.DEAD,
        "due": refund.due_at_ms > 0,
        "unfinished": refund.state in ACTIVE,
        "on_hold": bool(refund.hold),
        "approvals": refund.needs_approval,
    }[pool]


def selected(refund: Refund) -> Selected:
    """Return a refund as it is now."""
    amount, currency = amount_of(refund)
    return Selected(id=refund.refund_id, version=refund.version, amount=amount, currency=currency)


def amount_of(refund: Refund) -> tuple[Decimal | None, str]:
    """Return the amount at stake and its currency; None where only Wix knows it.

    That is what is to be approved, what the job asks for, what Wix was told to refund, or what the
    order had taken.
    """
    request, facts = refund.request, refund.facts
    if refund.needs_approval and refund.approval["amount"]:
        return Decimal(refund.approval["amount"]), refund.approval["currency"]
    if request.amount:
        return Decimal(request.amount), request.currency or ""
    if facts.refund_amount:
        return Decimal(facts.refund_amount), facts.currency
    paid = [one.amount for one in facts.paid or ()]
    if paid and all(paid) and not request.is_partial:
        return sum((Decimal(one or 0) for one in paid), Decimal(0)), facts.currency
    return None, request.currency or facts.currency


def totals(found: Iterable[Selected]) -> tuple[dict[str, Decimal], int]:
    """Return the sum per currency, and how many amounts are not known."""
    sums: Counter[str] = Counter()
    unknown = 0
    for one in found:
        if one.amount is None:
            unknown += 1
        else:
            sums[one.currency] += one.amount  # type: ignore[assignment]  # a counter of decimals
    return {currency: Decimal(amount) for currency, amount in sums.items()}, unknown
