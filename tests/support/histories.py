"""What is true in every history of a worker, whatever happens in it, and at its end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from hypothesis.stateful import RuleBasedStateMachine, invariant

from statemachine.flows import ACTIVE, TERMINAL, State
from tests.support.rig import STORE_ID
from tests.support.stormy_rig import StormyRig
from worker.queue.broker import QUEUES
from worker.refund.record import fingerprint_of
from worker.simulator.world.orders import Order


class Watched(RuleBasedStateMachine):
    """One worker and one Wix, watched after each event."""

    rig: StormyRig

    def __init__(self) -> None:
        super().__init__()
        self.orders: list[Order] = []
        self.asked: dict[str, tuple[Order, dict[str, Any]]] = {}
        self.seen: dict[str, list[dict[str, Any]]] = {}
        self.ended: dict[str, tuple[State, int]] = {}
        self.looked: Mapping[str, object] = {}

    def work(self, times: int) -> None:
        """Handle some messages of each queue."""
        for _ in range(times):
            waiting = [queue for queue in QUEUES if self.rig._waiting(queue)]
            for queue in waiting:
                self.rig.one(queue)

    def _changed(self) -> list[str]:
        """Return the refunds whose record or history is not as it was at the last look."""
        with self.rig.redis.pipeline(transaction=False) as pipe:
            for refund_id in self.asked:
                pipe.hgetall(self.rig.key("refund", refund_id))
                pipe.lrange(self.rig.key("history", refund_id), 0, -1)
            replies = pipe.execute()
        now = dict(zip(self.asked, zip(replies[::2], replies[1::2], strict=True), strict=True))
        before, self.looked = self.looked, now
        return [refund_id for refund_id in now if now[refund_id] != before.get(refund_id)]

    @invariant()
    def nothing_is_done_twice(self) -> None:
        """By Wix's records: at most one effect per request, and never more than was paid."""
        for order in self.orders:
            mine = [i for i, (asked, _) in self.asked.items() if asked is order]
            assert order.cancellations <= len(mine)
            effects = Counter(order.effects)
            assert effects["create_fulfillment"] <= effects["delete_fulfillment"]
            reasons = [str(refund["details"].get("reason")) for refund in order.refunds]
            for refund_id in mine:
                fingerprint = fingerprint_of(STORE_ID, order.id, refund_id)
                assert sum(fingerprint in reason for reason in reasons) <= 1
            for payment in order.payments:
                out = order.refunded(payment.id) + order.pending(payment.id)
                assert Decimal(0) <= out <= payment.amount

    @invariant()
    def history_only_grows_and_a_final_state_is_final(self) -> None:
        """No line changes, and a finished refund takes no further step (a dead letter may)."""
        for refund_id in self._changed():
            lines = self.rig.ledger.history(refund_id)
            before = self.seen.get(refund_id, [])
            assert lines[: len(before)] == before
            self.seen[refund_id] = lines
            refund = self.rig.ledger.load(refund_id)
            steps = sum(line["event"].startswith("step.") for line in lines)
            if refund and refund_id in self.ended:
                assert (refund.state, steps) == self.ended[refund_id]
            elif refund and refund.state in TERMINAL:
                self.ended[refund_id] = (refund.state, steps)

    def teardown(self) -> None:
        """When the faults stop, every refund ends, exactly once, and is in its place."""
        if not hasattr(self, "rig"):
            return
        rig = self.rig
        try:
            rig.harms.clear()
            rig.network.holds_next = ""
            rig.simulator.clear_faults()
            for _ in range(4):
                rig.requeue_lost()
                rig.run_until_idle()
                # If a refused key suspended the store, a probe resumes it.
                rig.redis.zadd(rig.key("probes"), {STORE_ID: 1}, xx=True)
                rig.prober().turn(lambda: False)
            self.nothing_is_done_twice()
            self.history_only_grows_and_a_final_state_is_final()
            assert rig.problems() == []
            for refund_id, (order, _) in self.asked.items():
                refund = rig.load(refund_id)
                assert refund.state not in ACTIVE
                if refund.state is State.CANCELLED:
                    assert order.status == "CANCELED"
                if refund.state is State.REFUNDED:
                    assert order.refunds
        finally:
            rig.redis.close()
            rig.broker.client.close()
