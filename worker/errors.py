"""Everything that can go wrong in a step, as a tree.

WorkerError
├── CallFailed            a call to Wix brought no usable answer
│   ├── Retryable         it did not happen; the same call may work later
│   │   └── Unreadable    it only read, and Wix's answer is not as documented
│   ├── EffectUnknown     a mutating call that may have happened: look before repeating
│   ├── Permanent         Wix refuses for good
│   └── Unauthorized      Wix does not accept the store's key
│       └── Forbidden     a 403 that does not say why: it may also be throttling, or a gateway
├── Rejected              an answer for upstream: this refund will not happen
├── Buried                a person must decide: the refund becomes a dead letter
├── HeldBack              Redis may have lost writes, or may lose this one: no call was made
├── NeedsApproval         the call would exceed a limit: no call was made; a person must approve it
├── OrderFound            the id of an order whose number the job names: go on with it
├── LeaseLost             another worker may hold this order: stop at once, write nothing
├── OtherLedger           the ledger is not the one of this worker's installation: do nothing
├── LivesElsewhere        a store does not live in this cell any more: ask again where it does
├── NoSuchCell            the directory has a store in a cell that there is not: wait for a person
└── StoreInTwoCells       several cells have refunds of a store: a person must say which is right
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from statemachine.flows import State


class WorkerError(Exception):
    """Base of all errors that the worker raises deliberately."""


class CallFailed(WorkerError):
    """A call to Wix that brought no usable answer.

    `endpoint` is our short name of the call, `status` the HTTP status or None when no answer
    arrived, `code` Wix's application error code, `request_id` Wix's `x-wix-request-id`.
    `fields` are the fields of the request that Wix calls invalid.
    `detail` is a short text of our own; it never holds a secret or a body from Wix.
    """

    def __init__(
        self,
        endpoint: str,
        *,
        status: int | None = None,
        code: str | None = None,
        request_id: str | None = None,
        detail: str = "",
        retry_after_ms: int | None = None,
        facts: Mapping[str, object] | None = None,
        fields: tuple[str, ...] = (),
    ) -> None:
        self.endpoint = endpoint
        self.status = status
        self.code = code
        self.request_id = request_id
        self.detail = detail
        self.retry_after_ms = retry_after_ms
        self.facts: Mapping[str, object] = facts or {}
        self.fields = fields
        parts = [
            endpoint,
            f"HTTP {status}" if status is not None else "no answer",
            code or "",
            detail,
            f"(wix request {request_id})" if request_id else "",
        ]
        super().__init__(" ".join(part for part in parts if part))


class Retryable(CallFailed):
    """The call did not happen, or only read: the same call may work later."""


class Unreadable(Retryable):
    """A read whose answer is JSON, but not as documented: a person is asked soon."""


class EffectUnknown(CallFailed):
    """A mutating call whose effect is not known: look before repeating."""


class Permanent(CallFailed):
    """Wix refused the call for good; it was not executed."""


class Unauthorized(CallFailed):
    """Wix does not accept the store's key, or the key may not do this."""


class Forbidden(Unauthorized):
    """Wix, or a gateway in front of it, answered 403 without saying why. W5."""


class _Ending(WorkerError):
    """A reason code of `worker.refund.reasons`, and Wix's answer if it caused the end."""

    def __init__(
        self, reason: str, cause: CallFailed | None = None, detail: str = "", remedy: str = ""
    ) -> None:
        self.reason = reason
        self.cause = cause
        self.detail = detail
        self.remedy = remedy
        """What a person can do, where the table's remedy is too general."""
        super().__init__(": ".join(part for part in (reason, detail or str(cause or "")) if part))


class Rejected(_Ending):
    """An answer for upstream: this refund will not happen."""


class Buried(_Ending):
    """A person must decide: the refund becomes a dead letter.

    `resume` is the state in which a replay continues, None for the one it stopped in.
    """

    def __init__(
        self,
        reason: str,
        cause: CallFailed | None = None,
        detail: str = "",
        *,
        remedy: str = "",
        resume: State | None = None,
    ) -> None:
        super().__init__(reason, cause, detail, remedy)
        self.resume = resume


class HeldBack(WorkerError):
    """The call was not made, because Redis may have lost an intent, or may lose this one.

    `wait_ms` says when to try again.
    """

    def __init__(self, why: str, wait_ms: int) -> None:
        self.wait_ms = wait_ms
        super().__init__(why)


class OrderFound(WorkerError):
    """Wix told the id of the order whose number the job names."""

    def __init__(self, order_id: str) -> None:
        self.order_id = order_id
        super().__init__("order_found")


class NeedsApproval(WorkerError):
    """The call was not made, because it would exceed a limit of the money guards.

    `asks` says which, and how many people must approve it.
    """

    def __init__(self, asks: Mapping[str, Any]) -> None:
        self.asks = asks
        super().__init__("needs_approval")


class LeaseLost(WorkerError):
    """Another worker may hold this order: stop at once, write nothing."""


class OtherLedger(WorkerError):
    """The ledger is empty or another one than at the start: do nothing in it."""


class LivesElsewhere(WorkerError):
    """A cell does not know a store, although it has just done so: its server forgot it."""

    def __init__(self, store_id: str) -> None:
        super().__init__(f"store {store_id} does not live in this cell, or not any more")


class NoSuchCell(WorkerError):
    """The directory has a store in a cell that there is not, or not yet: its jobs wait."""

    def __init__(self, store_id: str, cell: str) -> None:
        super().__init__(f"the directory has store {store_id} in cell {cell}, which there is not")


class StoreInTwoCells(WorkerError):
    """The directory does not know a store, and several cells do."""

    def __init__(self, store_id: str, cells: Iterable[str]) -> None:
        self.cells = tuple(cells)
        super().__init__(f"the cells {' and '.join(self.cells)} know store {store_id}")
