"""Random histories (hypothesis): jobs, faults, merchants, kills, lost and repeated messages.

Whatever happens in whatever order: a request has at most one effect, no more money is refunded than
was paid, history only grows, and a final state is final. When the faults stop, every refund reaches
its end and the audit finds nothing.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any, get_args

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.chaos.bottomless import bottomless
from tests.support.histories import Watched
from tests.support.rig import AFTER, BEFORE
from tests.support.stormy_rig import DELETION, LATE_CALLS, Killed, StormyRig
from worker.simulator import Fault, Flags
from worker.simulator.rules.table import RULES
from worker.simulator.script.faults import Kind
from worker.simulator.world.orders import Order

MINUTE_MS = 60_000
PLACES = ("before_claim", "after_claim", "after_look", "before_call", "after_call", "after_commit")

faults = st.builds(
    Fault,
    kind=st.sampled_from([kind for kind in get_args(Kind) if kind != "slow"]),
    endpoint=st.sampled_from(sorted(RULES)),
    status=st.sampled_from([401, 403, 404, 409, 429, 500, 503, 504]),
    times=st.integers(1, 3),
)


def event(
    **draws: st.SearchStrategy[Any],
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Make a rule after which the worker handles a few messages."""

    def decorate(body: Callable[..., None]) -> Callable[..., None]:
        def happens(self: Weather, work: int, **drawn: Any) -> None:
            body(self, **drawn)
            self.work(work)

        happens.__name__, happens.__doc__ = body.__name__, body.__doc__
        drawn: dict[str, Any] = {"work": st.integers(0, 3), **draws}
        made: Callable[[Callable[..., None]], Callable[..., None]] = rule(**drawn)
        return made(happens)

    return decorate


def _kill() -> None:
    raise Killed


class Weather(Watched):
    """One worker, one Wix, and everything that may happen to them."""

    url: str

    def __init__(self) -> None:
        super().__init__()
        self.names = (f"rf-{n}" for n in itertools.count())

    @initialize(
        stale_ms=st.sampled_from([0, 10_000]),
        provider_ms=st.sampled_from([0, 60_000]),
        cancel_twice=st.sampled_from(["ok", "428"]),
        cancel_fulfilled=st.sampled_from(["ok", "428"]),
        delete_twice=st.sampled_from(["404", "ok"]),
        consistent_token=st.booleans(),
    )
    def begin(self, **flags: Any) -> None:
        """Start with some behaviour of Wix and a refund of each kind of order."""
        self.rig = StormyRig(self.url, Flags(**flags))
        for created in (BEFORE, AFTER) * 2:
            self.job(created=created, n=0, amounts=("101.40",), pays_twice=True, work=1)

    @event(
        created=st.sampled_from([BEFORE, AFTER]),
        n=st.integers(0, 2),
        amounts=st.sampled_from([("101.40",), ("60.00", "41.40")]),
        pays_twice=st.booleans(),
    )
    def job(self, created: str, n: int, amounts: tuple[str, ...], *, pays_twice: bool) -> None:
        """Place an order, and send the job to refund it."""
        order = self.rig.order(created, fulfillments=n, amounts=amounts)
        if pays_twice:
            order = bottomless(self.rig.simulator, order)
        self.orders.append(order)
        self._ask(order, {})

    @precondition(lambda self: self.asked)
    @event(draw=st.data(), reason=st.sampled_from(["", "another"]))
    def job_again(self, draw: st.DataObject, reason: str) -> None:
        """Send a known refund_id again: a duplicate, or a conflict."""
        refund_id = draw.draw(st.sampled_from(sorted(self.asked)))
        order, _ = self.asked[refund_id]
        self.rig.request(order, refund_id, reason=reason)

    @precondition(lambda self: self.orders)
    @event(draw=st.data())
    def another_refund_of_an_order(self, draw: st.DataObject) -> None:
        """Send another refund_id for the same order."""
        self._ask(draw.draw(st.sampled_from(self.orders)), {"reason": "again"})

    def _ask(self, order: Order, more: dict[str, Any]) -> None:
        refund_id = next(self.names)
        self.asked[refund_id] = (order, more)
        self.rig.request(order, refund_id, **more)

    @event(fault=faults)
    def wix_fails(self, fault: Fault) -> None:
        """Let one endpoint fail."""
        self.rig.simulator.script(replace(fault))

    @precondition(lambda self: self.orders)
    @event(draw=st.data(), what=st.sampled_from(["fulfills", "cancels", "refunds"]))
    def merchant(self, draw: st.DataObject, what: str) -> None:
        """Let the merchant act in the dashboard."""
        order = draw.draw(st.sampled_from(self.orders))
        if what == "refunds" and (order.refunds or order.status != "APPROVED"):
            return
        getattr(self.rig.simulator, f"merchant_{what}")(order.id)

    @event(
        created=st.sampled_from([BEFORE, AFTER]),
        place=st.sampled_from(PLACES),
        nth=st.integers(1, 2),
        harm=st.sampled_from(["kill", "freeze", "unlease"]),
    )
    def a_step_is_disturbed(self, created: str, place: str, nth: int, harm: str) -> None:
        """Disturb the first or second step that reaches a point, and start one that will.

        A worker frozen during its call is not covered: see worker/README.md.
        """
        harms = {"kill": _kill, "freeze": self._freeze, "unlease": self._drop_leases}
        self.rig.harms[place] = (nth, harms["kill" if place == "before_call" else harm])
        self.job(created=created, n=0, amounts=("101.40",), pays_twice=True, work=1)

    def _freeze(self) -> None:
        """Freeze the worker; it must not change what others finish in the meantime."""
        self.rig.freeze()
        self.nothing_is_done_twice()
        self.history_only_grows_and_a_final_state_is_final()

    def _drop_leases(self) -> None:
        for lease in list(self.rig.redis.scan_iter(self.rig.key("lease", "*"))):
            self.rig.redis.delete(lease)

    @event(kind=st.sampled_from([*LATE_CALLS, DELETION]))
    def a_call_is_held_back(self, kind: str) -> None:
        """Delay the next call of a kind: it times out, but arrives later."""
        self.rig.network.holds_next = kind

    @event(moments=st.integers(1, 3))
    def a_refund_is_late_by_minutes(self, moments: int) -> None:
        """Hold back a refund call while minutes pass."""
        self.job(created=AFTER, n=0, amounts=("101.40",), pays_twice=True, work=0)
        self.rig.network.holds_next = "refund-payments"
        self._let_minutes_pass(moments)

    @event(moments=st.integers(1, 3))
    def a_fulfillment_is_late_by_minutes(self, moments: int) -> None:
        """Hold back the call that recreates a fulfillment after a refused cancel.

        There are units left, and it has no tracking number: Wix would carry it out twice.
        """
        lines = [{"price": "5.00", "quantity": 4}]
        carrier = {"shippingProvider": "by hand"}
        parcel = {"lineItems": [{"index": 0, "quantity": 1}], "trackingInfo": carrier}
        order = self.rig.order(BEFORE, lines=lines, fulfillments=[parcel])
        self.orders.append(order)
        self._ask(order, {})
        never = Fault("status", "cancel_order", order.id, status=428, code="NOT_TODAY")
        self.rig.simulator.script(never)
        self.rig.network.holds_next = "create-fulfillment"
        self._let_minutes_pass(moments)

    def _let_minutes_pass(self, moments: int) -> None:
        for _ in range(moments):
            self.work(30)
            self.rig.let_pass(MINUTE_MS)

    @event()
    def what_was_held_back_arrives(self) -> None:
        """Deliver the delayed calls, always before the settle delay is over."""
        self.rig.network.arrive()

    @event()
    def the_queue_is_emptied(self) -> None:
        """Lose every message of the queue of steps."""
        self.rig.redis.delete(self.rig.key("steps"), self.rig.key("steps.msgs"))

    @precondition(lambda self: self.asked)
    @event(draw=st.data(), actor=st.sampled_from(["assess_order", "cancel_order", "submit_refund"]))
    def a_message_comes_again(self, draw: st.DataObject, actor: str) -> None:
        """Send a repeated, late or early message."""
        refund_id = draw.draw(st.sampled_from(sorted(self.asked)))
        message = self.rig.broker.get_actor(actor).message(refund_id)
        self.rig.broker.enqueue(message)

    @event()
    def time_passes(self) -> None:
        """Let an hour pass: what waits becomes due."""
        self.rig.let_an_hour_pass()

    @event()
    def a_minute_passes(self) -> None:
        """Let more time pass than a call takes, and less than the settle delay."""
        self.rig.let_pass(MINUTE_MS)

    @event()
    def a_moment_passes(self) -> None:
        """Wake what waits, while unknown effects are still unknown."""
        for refund_id in self.rig.redis.zrange(self.rig.key("due"), 0, -1):
            self.rig.redis.zadd(self.rig.key("due"), {refund_id: 1})
        self.rig.ledger.wake_due("rig", lead_ms=1)

    @event()
    def the_leader_requeues(self) -> None:
        """Reclaim messages and requeue lost refunds."""
        self.rig.requeue_lost()

    @precondition(lambda self: self.asked)
    @event(draw=st.data())
    def replay(self, draw: st.DataObject) -> None:
        """Replay a refund, whether it is a dead letter or not."""
        self.rig.replay(draw.draw(st.sampled_from(sorted(self.asked))), operator="ann")


def test_no_history_of_events_loses_or_doubles_a_refund(redis_url: str) -> None:
    """Forty random histories, the same ones every time."""

    class Here(Weather):
        """Runs on the suite's server."""

        url = redis_url

    run_state_machine_as_test(
        Here,
        settings=settings(
            max_examples=40,
            stateful_step_count=30,
            derandomize=True,
            deadline=None,
            database=None,
            phases=(Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
        ),
    )
