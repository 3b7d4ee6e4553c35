"""Scripted faults: which call fails, how, and how often."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal[
    "status", "lost_reply", "drop", "drop_after", "slow", "garbage", "empty", "odd", "not_wix",
    "throttled_403",
]  # fmt: skip


class ConnectionDropped(Exception):
    """Raised when the server closes the connection without an answer."""


@dataclass
class Fault:
    """The next `times` matching calls fail, in the way that `kind` says.

    status         Wix does nothing and answers `status`
    lost_reply     Wix carries out the call, but the answer is `status` (504 by default)
    drop           Wix does nothing and closes the connection
    drop_after     Wix carries out the call, then closes the connection
    slow           Wix waits `slow_ms`, then carries out the call
    garbage        Wix carries out the call and answers 200 with a page of HTML
    not_wix        a gateway answers `status` with a page of HTML; Wix does nothing
    empty          Wix carries out the call and answers 200 with an empty body
    odd            Wix carries out the call and answers 200 with `body`, any JSON
    throttled_403  Wix does nothing and answers 403 without a code, or a page of HTML (W5)
    """

    kind: Kind
    endpoint: str = "*"
    order_id: str = "*"
    times: int = 1
    status: int = 0
    code: str = ""
    data: dict[str, Any] = field(default_factory=dict)
    """The `data` beside the code in the error body."""
    retry_after_s: int | None = None
    slow_ms: int = 0
    body: Any = None
    """The body of an `odd` answer."""
    html: bool = False
    """Whether the answer of `throttled_403` is a page of HTML."""

    def hits(self, endpoint: str, order_id: str) -> bool:
        """Return whether this call has to fail."""
        return (
            self.times > 0 and self.endpoint in {"*", endpoint} and self.order_id in {"*", order_id}
        )

    @property
    def effective_status(self) -> int:
        """The HTTP status of the answer."""
        return self.status or {"lost_reply": 504, "throttled_403": 403}.get(self.kind, 503)
