"""What people type to select refunds becomes a `Selection`: for the commands and the console."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from types import MappingProxyType
from typing import Any

from statemachine.flows import State, Transition
from worker.observability.redaction import redact_text
from worker.operations.selection import Selection

_ORDER_ID = (
    "an order ID like 67668940-527d-4465-94c6-5475d8c7a412, not the number that buyers see;"
    " it is in the address of the order in Wix's dashboard, after /order-details/"
)
#: What a filter may be, and how to say it. What does not look like an id may be an API key that was
#: pasted in its place; it is not repeated.
SHAPES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "store": (r"[0-9A-Fa-f-]{36}", "a site ID like 4b296c48-0000-4000-8000-000000000001"),
        "order": (r"[0-9A-Fa-f-]{36}", _ORDER_ID),
        "refund": (r"[A-Za-z0-9._:~-]{1,100}\*?", "a refund ID, or the beginning of one and *"),
        "reason_code": (r"[a-z_]{1,60}", "a reason code like scope_missing"),
        "code": (
            r"[A-Za-z0-9_.-]{1,80}",
            "a code of Wix like PAYMENT_NOT_REFUNDABLE, or an HTTP status like 428",
        ),
    }
)
_AMOUNT = "a plain decimal like 250 or 19.90"
_MOMENT = "an age like 90m, 24h or 7d, or a time like 2026-01-31T08:00Z"
_AGE = re.compile(r"(\d{1,6})([smhd])")
_UNIT_MS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


class BadFilter(ValueError):
    """A filter is not what it may be."""

    def __init__(self, name: str, takes: str) -> None:
        self.name = name
        self.takes = takes
        super().__init__(f"{name} takes {takes}")


def selection_of(given: Mapping[str, Any]) -> Selection:
    """Return what filters select; each is a text, `state` and `transition` may be members.

    Raises:
        BadFilter: one of them is not what it may be.
    """
    texts = {name: str(given.get(name) or "").strip() for name in SHAPES}
    for name, text in texts.items():
        shape, example = SHAPES[name]
        if text and (not re.fullmatch(shape, text) or redact_text(text) != text):
            raise BadFilter(name, example)
    return Selection(
        store=texts["store"].lower(),
        order=texts["order"].lower(),
        refund=texts["refund"],
        reason=texts["reason_code"],
        code=texts["code"],
        state=_member(State, "state", given),
        transition=_member(Transition, "transition", given),
        since_ms=moment_ms(str(given.get("since") or ""), "since"),
        until_ms=moment_ms(str(given.get("until") or ""), "until"),
        text=str(given.get("text") or ""),
        amount_over=_amount(str(given.get("amount_over") or "")),
    )


def moment_ms(text: str, name: str = "since", now: Callable[[], float] = time.time) -> int:
    """Return a moment in unix ms, 0 if none was given; a time without a zone is in UTC.

    Raises:
        BadFilter: it is neither an age nor a time.
    """
    if not text:
        return 0
    if age := _AGE.fullmatch(text.strip().lower()):
        return round(now() * 1000) - int(age[1]) * _UNIT_MS[age[2]]
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise BadFilter(name, _MOMENT) from None
    known = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0, round(known.timestamp() * 1000))


def _member(kind: Any, name: str, given: Mapping[str, Any]) -> Any:
    try:
        return kind(given[name]) if given.get(name) else None
    except ValueError:
        raise BadFilter(name, f"one of {', '.join(kind)}") from None


def _amount(text: str) -> Decimal | None:
    if not text.strip():
        return None
    try:
        amount = Decimal(text.strip())
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite() or amount < 0:
        raise BadFilter("amount_over", _AMOUNT)
    return amount
