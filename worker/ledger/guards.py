"""What the money guards would ask, without making a call (`lua/guards.lua`)."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from worker.refund.record import Refund


class Guards:
    """Looks at the limits. Raises redis.RedisError if the server does not answer."""

    def __init__(self, run: Callable[..., Any]) -> None:
        self._run = run
        """Runs a script of the ledger by its name."""

    def foresee(self, refund: Refund, guard: Mapping[str, Any]) -> dict[str, Any]:
        """Return what must be approved before the call can be made now; {} for nothing."""
        asks = self._run(
            "foresee",
            refund_id=refund.refund_id,
            store_id=refund.request.store_id,
            guard=dict(guard),
        )
        return json.loads(asks) if asks else {}
