"""The intent, right before each call that may change something at Wix (`lua/intent.lua`)."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import redis

from worker.ledger.claims import Claim, Intent
from worker.ledger.durability import Replicas, is_confirmed
from worker.ledger.vouching import Vouching
from worker.queue.delivery import Delivery
from worker.queue.own_calls import OwnCalls
from worker.refund.record import Refund

#: How soon to try again when too few replicas have an intent.
UNCONFIRMED_MS = 5_000
#: How soon to try again when this process has not vouched for its calls since a failover.
UNVOUCHED_MS = 1_000


class Intents:
    """Writes intents. Raises redis.RedisError if the server does not answer."""

    def __init__(
        self,
        run: Callable[..., Any],
        client: redis.Redis,
        ns: str,
        settle_delay_ms: int,
        wait_replicas: int,
    ) -> None:
        self._run = run
        """Runs a script of the ledger by its name."""
        self._client = client
        self._counter = f"{ns}:confirmations"
        self._settle_delay_ms = settle_delay_ms
        self._wait_replicas = wait_replicas
        #: The calls of a worker; a program without them makes none while any may be forgotten.
        self.own_calls = OwnCalls()
        self.vouch: Callable[[], int] = lambda: 0
        """Vouches for them, if this process has not since a failover (`Vouching.turn`)."""
        self.unconfirmed: Callable[[], None] = lambda: None
        """Counts a call that is not made, because too few replicas have its intent."""

    def vouch_for(self, calls: OwnCalls, worker_id: str) -> Vouching:
        """Let this process vouch for its calls; returns what does it."""
        vouching = Vouching(
            self._run,
            calls,
            worker_id=worker_id,
            settle_delay_ms=self._settle_delay_ms,
            replicas=Replicas(self._client, self._counter),
        )
        self.own_calls, self.vouch = calls, vouching.turn
        return vouching

    def write(
        self,
        claim: Claim,
        refund: Refund,
        delivery: Delivery,
        guard: Mapping[str, Any] | None,
        expires_at_ms: int,
    ) -> Intent:
        """Write it, unless the call must not be made."""
        era = self.own_calls.era
        if era is None and self.own_calls.beats:
            return Intent("held_back", max(UNVOUCHED_MS, self.vouch()))
        status, wait_ms, *asks = self._run(
            "intent",
            refund_id=refund.refund_id,
            token=delivery.token,
            fence=str(claim.fence),
            settle_delay_ms=self._settle_delay_ms,
            expires_at_ms=expires_at_ms,
            **({"guard": dict(guard)} if guard else {}),
            **({"era": era} if era else {}),
        )
        if status == "held_back":
            wait_ms = max(int(wait_ms), self.vouch())
        if status != "written":
            return Intent(status, int(wait_ms), json.loads(asks[0]) if asks else {})
        order = f"{refund.request.store_id}|{refund.request.order_id}"
        if not self.own_calls.made(order, era):
            return Intent("held_back", UNVOUCHED_MS)
        if not is_confirmed(self._client, self._counter, self._wait_replicas):
            self.unconfirmed()
            return Intent("unconfirmed", UNCONFIRMED_MS)
        return Intent("written", 0)
