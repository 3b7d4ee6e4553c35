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


def ended(ledgers: Iterable[Ledger]) -> int:
    """Count the refunds that have ended or wait for a person; the count only grows.

    Counting the active ones, state by state, misses a refund that moves to a state already counted.
    """
    return sum(ledger.count(state) for ledger in ledgers for state in (*TERMINAL, State.DEAD))


def count_failures(
    cells: Mapping[str, tuple[Settings, Ledger]], orders: Mapping[str, tuple[Scene, Order]]
) -> dict[str, int]:
    """Count what went wrong; *orders* maps each refund to its order, one to one."""
    ledgers, limit = [ledger for _, ledger in cells.values()], len(orders)
    problems = [p for one in ledgers for p in audit(one, repair=None, progress=lambda _: None)]
    unknown = [refund_id for refund_id in orders if not any(one.load(refund_id) for one in ledgers)]
    wrong = {
        "lost": [i for i, (scene, order) in orders.items() if scene.missing(order)],
        "doubled": [i for i, (scene, order) in orders.items() if scene.surplus(order)],
        "stuck": sorted(
            {*_in_states(ledgers, ACTIVE, limit), *unknown, *(p.refund_id for p in problems)}
        ),
        "dead": _in_states(ledgers, [State.DEAD], limit),
        "rejected": _in_states(ledgers, [State.REJECTED], limit),
        "wrong_events": _with_wrong_events(cells, orders),
        "disagreeing": [
            i for one, ledger in cells.values() for i in _disagreeing(ledger, one, limit)
        ],
        "in_two_cells": _in_two_cells(cells, limit),
    }
    for name, ids in wrong.items():
        for refund_id in ids[:SHOWN]:
            lines = {c: ledger.history(refund_id) for c, (_, ledger) in cells.items()}
            sys.stderr.write(f"{name} {refund_id}: {lines}\n")
    for problem in problems[:SHOWN]:
        sys.stderr.write(f"audit: {problem}\n")
    return {name: len(ids) for name, ids in wrong.items()}


def _in_states(ledgers: Iterable[Ledger], states: Iterable[State], limit: int) -> list[str]:
    wanted = [(ledger, state) for ledger in ledgers for state in states]
    return [r.refund_id for one, state in wanted for r in one.newest(state=state, limit=limit)]


def stores_of(cells: Mapping[str, tuple[Settings, Ledger]], limit: int) -> dict[str, set[str]]:
    """Return the cells that have refunds of each store."""
    found: dict[str, set[str]] = {}
    for cell, (_, ledger) in cells.items():
        for state in (*ACTIVE, *TERMINAL, State.DEAD):
            for refund in ledger.newest(state=state, limit=limit):
                found.setdefault(refund.request.store_id, set()).add(cell)
    return found


def _in_two_cells(cells: Mapping[str, tuple[Settings, Ledger]], limit: int) -> list[str]:
    """Return the stores of which several cells have refunds: nothing keeps those apart."""
    return sorted(one for one, homes in stores_of(cells, limit).items() if len(homes) > 1)


def _with_wrong_events(
    cells: Mapping[str, tuple[Settings, Ledger]], orders: Iterable[str]
) -> list[str]:
    """Return the refunds without exactly one event of acceptance and one of the end."""
    seen = Counter(
        (event["subject"], event["type"])
        for settings, ledger in cells.values()
        for _, event in read(ledger._redis, settings.namespace)
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
