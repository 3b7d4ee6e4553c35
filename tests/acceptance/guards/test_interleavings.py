"""No interleaving of workers, people and time passes a limit of the money guards."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from statemachine.flows import Transition
from tests.support.guard_model import LIMITS, STORES, Books, guard, order_id
from tests.support.guards import MINUTE_MS, guarded, pass_time
from worker.app import ledger_from
from worker.queue.delivery import Delivery
from worker.refund.request import parse_request

_which = st.integers(0, 7)
_units = st.sampled_from([5, 10, 20, 30, 70])
_ends = st.sampled_from(["done", "done", "rejected", "unclear", "unsent"])
_minutes = st.sampled_from([1, 30, 58, 59, 62, 23 * 60, 25 * 60])
#: What can happen next: a step from its claim to its commit, the two halves of one, so that several
#: run at once, what a person decides, and time.
EVENTS = st.one_of(
    st.tuples(st.just("step"), _which, _units, _ends),
    st.tuples(st.just("step"), _which, _units, _ends),
    st.tuples(st.just("begin"), _which, _units),
    st.tuples(st.just("end"), _which, _ends),
    st.tuples(st.just("decide"), _which, st.sampled_from(["approve", "reject", "release"])),
    st.tuples(st.just("time"), _minutes),
)


@given(events=st.lists(EVENTS, min_size=20, max_size=80))
@settings(max_examples=40, suppress_health_check=list(HealthCheck))
def test_no_history_passes_a_limit(redis_url: str, events: list[tuple[Any, ...]]) -> None:
    """And nothing is held that does not pass one."""
    with guarded(redis_url) as rig:
        books = Books(rig)
        for what, *details in events:
            if what == "time":
                pass_time(rig, details[0] * MINUTE_MS)
                continue
            refund_id = books.unfinished(details[0])
            if what in {"step", "begin"}:
                books.claim(refund_id)
                books.call(refund_id, details[1])
            if what in {"step", "end"}:
                books.end(refund_id, details[-1])
            if what == "decide":
                books.decide(refund_id, details[1])
        assert set(rig.redis.zrange(rig.key("approvals"), 0, -1)) == books.held


def test_workers_at_the_same_moment_pass_no_limit(redis_url: str) -> None:
    """Eight threads with connections of their own ask for forty refunds at once."""
    with guarded(redis_url) as rig:
        ids = [f"rf-{number}" for number in range(40)]
        for number, refund_id in enumerate(ids):
            job = {"refund_id": refund_id, "store_id": STORES[number % 2]}
            request = parse_request(job | {"order_id": order_id(number)})
            assert rig.ledger.accept(request, rig.delivery()) == "accepted"
        answers: Counter[str] = Counter()
        start = threading.Barrier(8)

        def work(worker: int) -> None:
            broker, ledger = ledger_from(rig.settings)
            start.wait()
            for refund_id in ids[worker::8]:
                delivery = Delivery(f"w-{worker}", "steps", refund_id, "e")
                claim = ledger.claim(refund_id, Transition.ASSESS_ORDER, delivery)
                assert claim.refund
                for _ in range(3):
                    intent = ledger.write_intent(claim, claim.refund, delivery, guard(5))
                answers[f"{claim.refund.request.store_id} {intent.status}"] += 1
            broker.client.close()

        threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        written = [answers[f"{store} written"] for store in STORES]
        assert sum(answers.values()) == len(ids)
        assert max(written) <= LIMITS[0][4]
        assert sum(written) == LIMITS[1][4]
