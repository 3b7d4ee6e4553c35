"""One step of a flow without a ledger: its record and its time are given, Wix is the simulator."""

from __future__ import annotations

from typing import Any

from config.loading import load_settings
from statemachine.flows import Flow, State
from tests.support.rig import KEY, QUICK, STORE_ID
from tests.support.transport import SimulatorTransport
from worker.errors import Buried, CallFailed, Rejected
from worker.flows.step import Step
from worker.refund.facts import Facts
from worker.refund.record import Refund
from worker.refund.request import parse_request
from worker.simulator import Simulator
from worker.simulator.http.wsgi import wsgi
from worker.simulator.world.orders import Order
from worker.wix.client import ClientFactory

NOW_MS = 1_800_000_000_000
SETTINGS = load_settings({"REFUNDS_REDIS_URL": "redis://localhost:6379/0"} | QUICK)


def wix_at(now_ms: int = NOW_MS) -> Simulator:
    """Return a Wix with one store, at this time."""
    simulator = Simulator(clock_ms=lambda: now_ms)
    simulator.add_store(STORE_ID, KEY)
    return simulator


def refund_of(order: Order, facts: Facts | None = None, **more: Any) -> Refund:
    """Return a record of a refund that was accepted a minute ago; *more* are its fields or its job.

    It is at its first attempt, and no call of it is unclear.
    """
    fields: dict[str, Any] = {
        "state": State.REFUNDABLE,
        "flow": Flow.STANDARD.value,
        "version": 2,
        "attempt": 1,
        "attempts": 2,
        "wix_calls": 0,
        "failing_since_ms": 0,
        "intent_at_ms": 0,
        "accepted_at_ms": NOW_MS - 60_000,
        "updated_at_ms": NOW_MS,
        "due_at_ms": 0,
        "replayed_at_ms": 0,
        "died_in": "",
        "reason": {},
    }
    given = {name: more.pop(name) for name in list(more) if name in fields}
    job = {"refund_id": "rf", "store_id": STORE_ID, "order_id": order.id} | more
    known = Facts(currency=order.currency) | (facts or Facts())
    return Refund(request=parse_request(job), facts=known, **(fields | given))


def step_on(simulator: Simulator, order: Order, facts: Facts | None = None, **more: Any) -> Step:
    """Return a step of such a refund, see `refund_of`."""
    factory = ClientFactory(
        "http://wix.test",
        connect_timeout_ms=1_000,
        read_timeout_ms=1_000,
        total_timeout_ms=1_000,
        transport=lambda: SimulatorTransport(wsgi(simulator)),
    )
    return Step(
        refund=refund_of(order, facts, **more),
        wix=factory.store(STORE_ID, KEY, before_mutation=lambda: None),
        now_ms=NOW_MS,
        settings=SETTINGS,
        refunds_of_order=lambda: ["rf"],
    )


def seen(end: BaseException) -> dict[str, Any]:
    """Return what a person or upstream sees of an end: its reason, and what Wix said."""
    assert isinstance(end, Rejected | Buried)
    cause = end.cause
    if not isinstance(cause, CallFailed):
        return {"reason": end.reason}
    return {
        "reason": end.reason,
        "endpoint": cause.endpoint,
        "status": cause.status,
        "code": cause.code,
        "has_request_id": bool(cause.request_id),
    }
