"""Many stores in virtual time, whose calls Wix does not answer."""

from __future__ import annotations

import io
import uuid
from dataclasses import replace

from tests.support.rig import AFTER, settings_for
from tests.support.stores_rig import StoresRig, lines
from tests.support.virtual_time import VirtualTime
from worker.refund.request import parse_request
from worker.simulator import Fault, Simulator
from worker.stores.outages import Outages

STORES = 8
DOWN = Fault("status", status=503, times=10**9)


class Wide:
    """Many stores, in virtual time; the circuit is looked at every second."""

    def __init__(self, redis_url: str) -> None:
        settings = settings_for(redis_url, retry_for_s="86400", retry_attempts="12")
        self.rig = StoresRig(settings, Simulator())
        self.ids = [str(uuid.UUID(int=number + 1)) for number in range(STORES)]
        for number, store_id in enumerate(self.ids):
            key = f"IST.many.{number}.key"
            self.rig.simulator.add_store(store_id, key)
            self.rig.give(store_id, key)
        self.time = VirtualTime(self.rig)
        self.outages = Outages(
            circuit=self.rig.ledger.circuit,
            stores=self.rig.stores,
            keyring=self.rig.steps.keyring,
            wix=self.rig.wix,
        )

    def ask(self, stores: int = STORES, each: int = 1) -> list[str]:
        """Ask for refunds of so many stores."""
        asked = []
        for store_id in self.ids[:stores]:
            for _ in range(each):
                order = self.rig.simulator.add_order(store_id, created_date=AFTER)
                refund_id = f"rf-{uuid.uuid4()}"
                job = {"refund_id": refund_id, "store_id": store_id, "order_id": order.id}
                self.rig.ledger.accept(parse_request(job), self.rig.delivery(message_id=""))
                asked.append(refund_id)
        return asked

    def break_orders(self, refund_ids: list[str]) -> None:
        """Let Wix fail for the orders of these refunds, and for no others."""
        orders = [self.rig.load(refund_id).request.order_id for refund_id in refund_ids]
        faults = [replace(DOWN, order_id=order) for order in orders]
        self.rig.simulator.script(*faults)

    def run_for_s(self, seconds: int) -> None:
        """Run steps, and look at the circuit each second."""
        for _ in range(seconds):
            self.time.run_for_ms(1_000)
            self.outages.turn(lambda: False)

    def hang_for_ms(self, ms: int) -> None:
        """Let time pass during a call; the scheduler goes on meanwhile."""
        for _ in range(ms // 1_000):
            self.time.pass_ms(1_000)
            self.rig.ledger.wake_due("rig", lead_ms=60_000)

    def calls(self) -> int:
        """Return how many calls were made."""
        return len(self.rig.simulator.calls)


def circuit_events(log: io.StringIO) -> list[str]:
    """Return what was logged about the circuit."""
    return [line["event"] for line in lines(log) if line["event"].startswith("wix.")]
