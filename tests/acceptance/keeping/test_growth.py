"""Nothing in Redis grows without bound: each key is known, and each has a bound.

More refunds and stores than the suite has time for: `FINISHED=10000 STORES=100 pytest ...`.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from config.settings import Settings
from statemachine.flows import TERMINAL, State
from tests.support.ages import age, keep
from tests.support.indexing import index
from tests.support.memory import bytes_of
from tests.support.rig import AFTER, ANN, BEFORE, KEY, Rig, settings_for
from worker.client import enqueue
from worker.operations.acts import letters
from worker.refund.request import parse_request
from worker.simulator import Fault, Simulator

FINISHED, STORES = int(os.environ.get("FINISHED", "180")), int(os.environ.get("STORES", "6"))
STORE_IDS = [f"4b296c48-0000-4000-8000-{n:012d}" for n in range(STORES)]
#: How many elements a key may have that has none for each refund: counters, and the settings.
MOST = 40 + len(Settings.model_fields) + STORES
#: How many of the refunds become dead letters, which a person then discards.
DEAD = 5

#: There is one for each refund, until it is forgotten.
OF_REFUND = {"refund", "history", "order"}
#: They have an element for each refund, until it is forgotten, or was read by upstream.
LISTS = {"accepted", "orders", "of_store", "state", "outcomes"}
#: There is one for each store.
OF_STORE = {
    *("store", "worked", "lacking", "suspended", "rate", "throttled", "lane", "busy", "looks"),
    *("guard", "usual", "observer", "observed", "observe_again", "unanswered", "resting"),
}
#: A ring of these is used again and again.
RINGS = {"minute": 1440, "day": 32}
#: There is one, or one for each worker.
FEW = {
    *(
        "installation",
        "settings",
        "clock",
        "workers",
        "worker",
        "left",
        "scheduler",
        "fence",
        "arrivals",
    ),
    *("ring", "round", "busy_stores", "stores", "answers", "paced", "look_stores", "indexed"),
    *(
        "keeping",
        "audit_head",
        "steps",
        "handed",
        "refunds",
        "failing_stores",
        "observing",
        "totals",
    ),
}
#: One entry for each act of a person, never trimmed; and 64 workers that the rig pretends to have.
EXEMPT = {"audit_log", "idle"}


@pytest.fixture
def rig(redis_url: str) -> Iterator[Rig]:
    """A worker with many stores."""
    stores = json.dumps({store: {"account_id": "a", "api_key": KEY} for store in STORE_IDS})
    rig = Rig(settings_for(redis_url, stores=stores), Simulator())
    for store_id in STORE_IDS:
        rig.simulator.add_store(store_id, KEY)
    yield rig
    rig.close()


def _finish_many(rig: Rig) -> None:
    """Let refunds end in different ways, with retries and dead letters among them."""
    rig.simulator.script(Fault("status", "submit_refund", status=418, times=DEAD))
    rig.simulator.script(Fault("status", "get_order", status=503, times=FINISHED // 10))
    for n in range(FINISHED):
        store_id, created = STORE_IDS[n % STORES], BEFORE if n % 5 == 0 else AFTER
        order = rig.simulator.add_order(store_id, created_date=created)
        job = {"refund_id": f"rf-{n:06d}", "order_id": order.id, "store_id": store_id}
        part = {"amount": "5000.00", "currency": "USD"} if n % 7 == 0 else {}
        enqueue(rig.broker, parse_request(job | part))
        if n % 50 == 49 or n == FINISHED - 1:
            rig.run_until_idle()
    for refund_id in rig.redis.zrange(rig.key("dead"), 0, -1):
        letters.discard(rig.acts, refund_id, operator=ANN)
    assert sum(rig.ledger.count(state) for state in TERMINAL) == FINISHED


def _kind(rig: Rig, key: str) -> str:
    return key.removeprefix(f"{rig.ledger.ns}:").split(":")[0].partition(".")[0]


def _size(rig: Rig, key: str) -> int:
    """How many elements a key has."""
    redis = rig.redis
    count = {
        "hash": redis.hlen,
        "zset": redis.zcard,
        "set": redis.scard,
        "list": redis.llen,
        "stream": redis.xlen,
        "string": lambda _: 1,
    }[redis.type(key)]
    return int(count(key))


def _keys(rig: Rig) -> list[str]:
    return list(rig.redis.scan_iter(f"{rig.ledger.ns}:*", count=1000))


def test_each_key_is_known_and_has_a_bound(rig: Rig, tmp_path: Path) -> None:
    """While refunds are kept there are lists of them; afterwards only tombstones are left."""
    _finish_many(rig)
    index(rig)
    while rig.ledger.packing.turn():
        pass
    for key in _keys(rig):
        kind = _kind(rig, key)
        known = OF_REFUND | LISTS | OF_STORE | set(RINGS) | FEW | EXEMPT | {"watch"}
        assert kind in known, key
        assert kind in LISTS | EXEMPT | {"watch"} or _size(rig, key) <= MOST, key

    rig.redis.delete(rig.key("watch"))
    for refund_id in list(rig.ledger.all_ids()):
        age(rig, refund_id, days_ago=100)
    keep(rig, tmp_path, turns=20 + FINISHED // 100)
    rig.ledger.keeping.trim_outcomes(keep_ms=-60_000, limit=10 * FINISHED)

    kinds = Counter(_kind(rig, key) for key in _keys(rig))
    assert kinds.pop("refund") == FINISHED
    for kind, count in kinds.items():
        assert kind in OF_STORE | set(RINGS) | FEW | EXEMPT | {"outcomes"}, kind
        most = STORES + 1 if kind in OF_STORE else RINGS.get(kind, 5)
        assert count <= most, kind
    for key in _keys(rig):
        # The server trims whole nodes of a stream, of at most 100 entries.
        most = 100 if _kind(rig, key) == "outcomes" else MOST
        assert _kind(rig, key) in EXEMPT or _size(rig, key) <= most, key
    some = [f"rf-{n:06d}" for n in range(0, FINISHED, FINISHED // 10)]
    for name in some:
        assert bytes_of(rig, rig.key("refund", name)) <= 200
        left = rig.ledger.tombstone(name)
        assert left is not None
        assert left.state in TERMINAL - {State.VOIDED}
    assert rig.problems() == []
