"""Scripted faults: which call, what goes wrong, how often."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal[
    "status", "lost_reply", "drop", "drop_after", "slow", "garbage", "empty", "odd", "not_wix",
    "throttled_403",
]  # fmt: skip


class ConnectionDropped(Exception):
    """The server closes the connection without an answer."""


@dataclass
class Fault:
    """One thing that goes wrong, `times` times.

    status         answers `status` and does nothing
    lost_reply     does it, then answers `status` (504 by default)
    drop           closes the connection and does nothing
    drop_after     does it, then closes the connection
    slow           waits `slow_ms`, then does it
    garbage        does it, then answers 200 with a page of HTML
    not_wix        answers `status` with a page of HTML, as a gateway would, and does nothing
    empty          does it, then answers 200 with nothing
    odd            does it, then answers 200 with `body`, any JSON
    throttled_403  answers 403 without a code, or with a page of HTML, and does nothing (W5)
    """

    kind: Kind
    endpoint: str = "*"
    order_id: str = "*"
    times: int = 1
    status: int = 0
    code: str = ""
    data: dict[str, Any] = field(default_factory=dict)
    """What stands beside the code."""
    retry_after_s: int | None = None
    slow_ms: int = 0
    body: Any = None
    """What an odd answer says."""
    html: bool = False
    """Whether a throttled call is answered with a page of HTML."""

    def hits(self, endpoint: str, order_id: str) -> bool:
        """Whether it is this call's turn to fail."""
        return (
            self.times > 0 and self.endpoint in {"*", endpoint} and self.order_id in {"*", order_id}
        )

    @property
    def effective_status(self) -> int:
        """The HTTP status that it answers."""
        return self.status or {"lost_reply": 504, "throttled_403": 403}.get(self.kind, 503)
