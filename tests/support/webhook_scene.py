"""A rig whose outcomes go to a receiver; the test says when they are delivered."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

from tests.support.receiver import Receiver
from tests.support.rig import Rig
from worker.app import deliverers_from
from worker.webhooks.delivering import Deliverer


class Scene:
    """A rig whose outcomes go to a receiver."""

    def __init__(self, rig: Rig, shop: Receiver) -> None:
        self.rig, self.shop = rig, shop
        self.webhooks = rig.ledger.webhooks
        self.deliverers: list[Deliverer] = []
        self.deliverer = self.another()
        self.turn()

    def another(self) -> Deliverer:
        """Return the deliverer of another worker."""
        [made] = deliverers_from(self.rig.settings, self.rig.ledger, self.rig.seams())
        self.deliverers.append(made)
        return made

    def close(self) -> None:
        """End all that was started."""
        for each in self.deliverers:
            each.turn(lambda: True)
        self.rig.close()

    def turn(self) -> None:
        """Deliver all that is due."""
        self.deliverer.turn(lambda: False)

    def refund(self, *names: str) -> None:
        """Run refunds from their jobs to their ends."""
        for name in names:
            self.rig.request(self.rig.order(), name)
        self.rig.run_until_idle()

    def make_due(self, first_ms: int | None = None) -> None:
        """Make what waits due; *first_ms* is when it was first tried."""
        key = self.rig.key("webhook", "shop", "waiting")
        for position, one in self.webhooks.waiting("shop").items():
            since_ms = one.first_ms if first_ms is None else first_ms
            text = json.dumps(asdict(replace(one, due_ms=0, first_ms=since_ms)))
            self.rig.redis.hset(key, position, text)
        self.rig.redis.hincrby(self.rig.key("webhook", "shop"), "acts", 1)
