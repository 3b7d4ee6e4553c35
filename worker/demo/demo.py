"""`refunds demo`: seven refunds with the real worker, a real server and the simulator."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from config.loading import load_settings
from config.settings import Settings
from statemachine.flows import State
from worker.app import App, acts_from, build, wix_from
from worker.client import enqueue
from worker.demo.embedded import embedded_server
from worker.ledger.audit_log import Operator
from worker.observability.events import log_event
from worker.operations import dead_letters
from worker.refund.record import Refund
from worker.refund.request import parse_request
from worker.simulator import Fault, Flags, Simulator, serve
from worker.stores.connecting import connect
from worker.stores.examiner import Examiner
from worker.stores.pasted import clean
from worker.stores.vault import Vault, new_key

BEFORE, AFTER = "2024-03-31T13:42:13.136Z", "2025-01-02T03:04:05.000Z"
#: Short waits, and no limit of calls; all other settings are those of production.
SHORT_WAITS = {
    "REFUNDS_STORE_CALLS_PER_MIN": "0",
    "REFUNDS_WIX_TOTAL_TIMEOUT_MS": "1500",
    "REFUNDS_SETTLE_DELAY_MS": "1500",
    "REFUNDS_RETRY_FIRST_MS": "400",
    "REFUNDS_RETRY_CAP_MS": "1500",
    "REFUNDS_RETRY_FOR_S": "1",
    "REFUNDS_RETRY_ATTEMPTS": "4",
    "REFUNDS_CONFIRM_FIRST_MS": "400",
    "REFUNDS_CONFIRM_CAP_MS": "2000",
    "REFUNDS_SCHEDULE_TICK_MS": "50",
}
PROVIDER_MS = 1_500
#: Who acts in the demo.
DEMO = Operator("refunds demo", "the cause is repaired")
KEY = "IST.demo-key-that-nobody-may-see"
#: Far more than a refund takes, even on a slow machine.
TIMEOUT_S = 90


@dataclass(frozen=True, eq=False)
class Scene:
    """One refund of the demo, and how Wix's own records must show it at the end."""

    title: str
    refund_id: str
    order: Mapping[str, Any]
    ends: State
    cancellations: int = 0
    refunds: int = 0
    faults: tuple[Fault, ...] = ()
    dies_first: bool = False


SCENES = (
    Scene("placed before the cutoff, unfulfilled: cancelled", "demo-1-unfulfilled",
          {"created_date": BEFORE}, State.CANCELLED, cancellations=1),
    Scene("placed before the cutoff, fulfilled: unfulfilled, then cancelled", "demo-2-fulfilled",
          {"created_date": BEFORE, "fulfillments": 2}, State.CANCELLED, cancellations=1),
    Scene("placed after the cutoff: refunded once the provider has paid", "demo-3-standard",
          {"created_date": AFTER}, State.REFUNDED, refunds=1),
    Scene("Wix answers 503, then 429 with Retry-After: retried", "demo-4-retried",
          {"created_date": AFTER}, State.REFUNDED, refunds=1,
          faults=(Fault("status", "get_order", status=503),
                  Fault("status", "get_order", status=429, retry_after_s=1))),
    Scene("Wix refunds, but its reply is lost: found, not repeated", "demo-5-lost-reply",
          {"created_date": AFTER}, State.REFUNDED, refunds=1,
          faults=(Fault("lost_reply", "submit_refund"),)),
    Scene("Wix refuses for good: rejected, with Wix's code and an explanation", "demo-6-refused",
          {"created_date": AFTER}, State.REJECTED,
          faults=(Fault("status", "submit_refund", status=428, code="PAYMENT_NOT_REFUNDABLE",
                        data={"nonRefundableReason": "DISABLED_BY_PROVIDER"}),)),
    Scene("fails until its attempts are used up: dead letter, repaired, replayed", "demo-7-dead",
          {"created_date": AFTER}, State.REFUNDED, refunds=1, dies_first=True,
          faults=(Fault("status", "get_order_refundability", status=503, times=1_000_000),)),
)  # fmt: skip


class DemoFailed(RuntimeError):
    """The demo cannot continue; the text says why."""


def run_demo() -> dict[str, Any]:
    """Run all scenes; returns the document that `refunds demo --json` prints."""
    simulator = Simulator(Flags(provider_ms=PROVIDER_MS))
    store_id = simulator.add_store(api_key=KEY)
    with embedded_server() as redis_url, serve(simulator) as wix_url:
        vault_key = new_key()
        with _running(build(_settings(redis_url, wix_url, vault_key))) as app:
            _connect(app, vault_key, store_id, simulator.stores[store_id].account_id)
            orders = {scene: _start(app, simulator, store_id, scene) for scene in SCENES}
            refunds = {scene: _watch(app, simulator, orders[scene], scene) for scene in SCENES}
    return _report(simulator, orders, refunds)


def _settings(redis_url: str, wix_url: str, vault_key: str) -> Settings:
    given = {
        "REFUNDS_REDIS_URL": redis_url,
        "REFUNDS_WIX_BASE_URL": wix_url,
        "REFUNDS_VAULT_KEYS": vault_key,
    }
    return load_settings(given | SHORT_WAITS)


@contextmanager
def _running(app: App) -> Iterator[App]:
    """Run the real worker in this process."""
    app.scheduler.beat()
    app.scheduler.start()
    worker = app.worker()
    worker.start()
    try:
        yield app
    finally:
        worker.stop(timeout=10_000)
        app.scheduler.stop()


def _connect(app: App, vault_key: str, store_id: str, account_id: str) -> None:
    """Connect the store as `refunds stores connect` does, with a vault key that is not kept."""
    log_event("demo.step", text="connecting the store: its API key is checked and encrypted")
    findings = connect(
        clean(site_id=store_id, account_id=account_id, api_key=KEY),
        vault=Vault([vault_key]),
        stores=app.stores,
        examiner=Examiner(
            wix=wix_from(app.settings), progress=lambda _: None, pause=threading.Event().wait
        ),
        operator=DEMO,
    )
    if not findings.is_good:
        raise DemoFailed(f"the store was not connected: {findings.reason}")


def _start(app: App, simulator: Simulator, store_id: str, scene: Scene) -> str:
    order = simulator.add_order(store_id, **scene.order)
    for fault in scene.faults:
        simulator.script(Fault(**{**vars(fault), "order_id": order.id}))
    job = {"refund_id": scene.refund_id, "store_id": store_id, "order_id": order.id}
    log_event("demo.step", text=scene.title, refund_id=scene.refund_id)
    enqueue(app.broker, parse_request(job | {"requested_by": "refunds demo"}))
    return order.id


def _watch(app: App, simulator: Simulator, order_id: str, scene: Scene) -> Refund:
    """Wait until a refund has ended; repair and replay the one that must die first."""
    if scene.dies_first:
        _until(app, scene.refund_id, {State.DEAD})
        log_event(
            "demo.step",
            text="the cause is repaired; replaying the dead letter",
            refund_id=scene.refund_id,
        )
        for fault in simulator.faults:
            fault.times = 0 if fault.order_id == order_id else fault.times
        acts = acts_from(app.settings, app.broker, app.ledger)
        dead_letters.replay(acts, scene.refund_id, operator=DEMO)
    ends = {State.CANCELLED, State.REFUNDED, State.REJECTED, State.DEAD}
    return _until(app, scene.refund_id, ends)


def _until(
    app: App,
    refund_id: str,
    states: set[State],
    *,
    monotonic: Callable[[], float] = time.monotonic,
) -> Refund:
    until = monotonic() + TIMEOUT_S
    pause = threading.Event()
    while monotonic() < until:
        refund = app.ledger.load(refund_id)
        if refund and refund.state in states:
            return refund
        pause.wait(0.05)
    raise DemoFailed(f"{refund_id} did not end within {TIMEOUT_S} s")


def _report(
    simulator: Simulator, orders: Mapping[Scene, str], refunds: Mapping[Scene, Refund]
) -> dict[str, Any]:
    """Compare with the simulator's own records; ours alone prove nothing."""
    books = simulator.books()
    wrong = [
        f"{scene.refund_id} did not end as expected"
        for scene, refund in refunds.items()
        if not _is_right(scene, refund, books["orders"][orders[scene]])
    ]
    wrong += [
        f"a call to an endpoint that Wix does not document: {call}"
        for call in books["unlisted_calls"]
    ]
    return {
        "ok": not wrong,
        "wrong": wrong,
        "refunds": [
            {
                "refund_id": refund.refund_id,
                "order_id": refund.request.order_id,
                "flow": refund.flow or None,
                "state": refund.state.value,
                "attempts": refund.attempts,
                "wix_calls": refund.wix_calls,
                "duration_ms": refund.updated_at_ms - refund.accepted_at_ms,
                "reason": refund.reason.get("reason"),
                "wix_code": refund.reason.get("wix_code"),
                "sentence": refund.reason.get("sentence"),
            }
            for refund in refunds.values()
        ],
        "wix": {
            "refunds_per_order": books["refunds_per_order"],
            "cancelled_orders": books["cancelled_orders"],
        },
    }


def _is_right(scene: Scene, refund: Refund, order: Mapping[str, Any]) -> bool:
    cancelled = order["status"] == "CANCELED"
    paid_back = order["refunded"] == order["paid"]
    return (
        refund.state is scene.ends
        and order["cancellations"] == scene.cancellations
        and cancelled == bool(scene.cancellations)
        and len(order["refunds"]) == scene.refunds
        and paid_back == bool(scene.refunds)
    )
