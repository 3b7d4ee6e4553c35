"""What went wrong in a chaos run, by Wix's records, the events for upstream and the audit."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import closing

from config.settings import Settings
from statemachine.flows import ACTIVE, TERMINAL, State
from tests.chaos.scenes import Scene
from worker.app import keyring_from, ledger_from, stores_from, wix_from
from worker.ledger.refunds import Ledger
from worker.operations.audit import COMPARED, against_wix, audit
from worker.refund.outcomes import read
from worker.simulator.world.orders import Order

#: How many examples of each kind of failure are printed.
SHOWN = 3
#: The audit compares with a Wix that is calm; a timeout on a busy machine says nothing.
PATIENT = dict.fromkeys(
    ("wix_connect_timeout_ms", "wix_read_timeout_ms", "wix_total_timeout_ms"), 60_000
)


def ended(ledger: Ledger) -> int:
    """Count the refunds that have ended or wait for a person; the count only grows.

    Counting the active ones, state by state, misses a refund that moves to a state already counted.
    """
    return sum(ledger.count(state) for state in (*TERMINAL, State.DEAD))


def count_failures(
    ledger: Ledger, orders: Mapping[str, tuple[Scene, Order]], settings: Settings
) -> dict[str, int]:
    """Count what went wrong; *orders* maps each refund to its order, one to one."""
    problems = list(audit(ledger, repair=None, progress=lambda _: None))
    active = [
        r.refund_id for state in ACTIVE for r in ledger.newest(state=state, limit=len(orders))
    ]
    unknown = [refund_id for refund_id in orders if ledger.load(refund_id) is None]
    wrong = {
        "lost": [i for i, (scene, order) in orders.items() if scene.missing(order)],
        "doubled": [i for i, (scene, order) in orders.items() if scene.surplus(order)],
        "stuck": sorted({*active, *unknown, *(p.refund_id for p in problems)}),
        "dead": [r.refund_id for r in ledger.newest(state=State.DEAD, limit=len(orders))],
        "rejected": [r.refund_id for r in ledger.newest(state=State.REJECTED, limit=len(orders))],
        "wrong_events": _with_wrong_events(ledger, settings, orders),
        "disagreeing": _disagreeing(ledger, settings, len(orders)),
    }
    for name, ids in wrong.items():
        for refund_id in ids[:SHOWN]:
            sys.stderr.write(f"{name} {refund_id}: {ledger.history(refund_id)}\n")
    for problem in problems[:SHOWN]:
        sys.stderr.write(f"audit: {problem}\n")
    return {name: len(ids) for name, ids in wrong.items()}


def _with_wrong_events(ledger: Ledger, settings: Settings, orders: Iterable[str]) -> list[str]:
    """Return the refunds without exactly one event of acceptance and one of the end."""
    seen = Counter(
        (event["subject"], event["type"]) for _, event in read(ledger._redis, settings.namespace)
    )
    expected = {(i, kind) for i in orders for kind in ("refund.accepted", "refund.finished")}
    wrong = {key for key in expected | set(seen) if seen[key] != (key in expected)}
    return sorted({refund_id for refund_id, _ in wrong})


def _disagreeing(ledger: Ledger, settings: Settings, limit: int) -> list[str]:
    """Return the finished refunds that Wix shows differently: `refunds audit --against-wix`."""
    finished = (refund for state in COMPARED for refund in ledger.newest(state=state, limit=limit))
    wix, (broker, _) = wix_from(settings.model_copy(update=PATIENT)), ledger_from(settings)
    with closing(wix), closing(broker.client):
        problems = against_wix(
            finished,
            keyring=keyring_from(settings),
            stores=stores_from(settings, broker),
            wix=wix,
            per_s=5_000,
            progress=lambda _: None,
        )
        found = list(problems)
    for problem in found[:SHOWN]:
        sys.stderr.write(f"against Wix: {problem}\n")
    return [problem.refund_id for problem in found]
