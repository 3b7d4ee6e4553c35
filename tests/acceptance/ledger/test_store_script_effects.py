"""What each script changes in Redis for one store: all of it, and nothing else."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support.keys import GONE
from tests.support.lost_replies import lose_reply
from tests.support.rig import STORE_ID, Rig
from tests.support.script_scenes import (
    MINUTE_MS,
    NOT_SUSPENDED,
    SLOT,
    Changes,
    Scene,
    changes,
    sent,
    suspended,
)
from worker.ledger.stores import NOT_CONNECTED

CONNECTED: Changes = {
    "outcomes": ["store.connected"],
    "store:STORE.connected_at_ms": "now",
    "store:STORE.connected_by": "NONCE",
    "store:STORE.epoch": 1,
    "store:STORE.events": 1,
    "store:STORE.profile": {"name": "n"},
    "store:STORE.sealed": "new",
    "stores>STORE": "now",
    "worked:STORE.get_order": "now",
}
#: The refund that waited in the lane starts.
STARTED: Changes = {**SLOT, **sent(2, "assess_order"), "lane:STORE>rf": GONE}


def _connect(rig: Rig) -> object:
    return rig.stores.connect(STORE_ID, "new", {"name": "n"}, ["get_order"])


def _connected_before(rig: Rig) -> None:
    """Connect a store with another key, and let a refund suspend it."""
    rig.stores.connect(STORE_ID, "old", {"name": "old"}, ["cancel_order"])
    suspended(rig)
    rig.redis.hset(rig.key("lacking", STORE_ID), "submit_refund", 1)
    old = {"connected_at_ms": 1, "connected_by": "old", "last_error": "{}", "last_error_at_ms": 1}
    rig.redis.hset(rig.key("store", STORE_ID), mapping=old)


def _connected_again(rig: Rig) -> Changes:
    _connected_before(rig)
    return changes(rig, lambda: _connect(rig))


def _connected_after_a_disconnect(rig: Rig) -> Changes:
    _connect(rig)
    assert rig.stores.disconnect(STORE_ID)
    return changes(rig, lambda: _connect(rig))


def _connected_twice_by_one_call(rig: Rig) -> Changes:
    """The first reply of the script is lost."""
    lose_reply(rig.stores._scripts, "connect")
    return changes(rig, lambda: _connect(rig))


def _disconnected(rig: Rig) -> Changes:
    _connected_before(rig)
    return changes(rig, lambda: rig.stores.disconnect(STORE_ID))


def _disconnected_before(rig: Rig) -> Changes:
    _connected_before(rig)
    rig.stores.disconnect(STORE_ID)
    return changes(rig, lambda: rig.stores.disconnect(STORE_ID))


def _resumed(epoch: int | None) -> Scene:
    def scene(rig: Rig) -> Changes:
        suspended(rig)
        rig.redis.hset(rig.key("worked", STORE_ID), "get_order", 1)
        return changes(rig, lambda: rig.stores.resume(STORE_ID, by="ann", epoch=epoch))

    return scene


def _probed(*, refused: bool, probes: int = 0) -> Scene:
    """Check a suspended store after *probes* refusals."""

    def scene(rig: Rig) -> Changes:
        suspended(rig)
        rig.redis.hset(rig.key("suspended", STORE_ID), "probes", probes)
        rig.redis.zadd(rig.key("probes"), {STORE_ID: 1})
        return changes(rig, lambda: _probe(rig, refused=refused))

    return scene


def _probe(rig: Rig, *, refused: bool) -> None:
    rig.stores.probed(STORE_ID, first_ms=10 * MINUTE_MS, cap_ms=60 * MINUTE_MS, refused=refused)


def _probed_too_late(rig: Rig) -> Changes:
    rig.redis.zadd(rig.key("probes"), {STORE_ID: 1})
    return changes(rig, lambda: _probe(rig, refused=True))


def _resealed(sealed: str) -> Scene:
    def scene(rig: Rig) -> Changes:
        rig.stores.connect(STORE_ID, sealed, {}, [])
        return changes(rig, lambda: rig.stores.reseal(STORE_ID, "old", "new"))

    return scene


def _overdue(rig: Rig, epoch: int = 0) -> Callable[[], object]:
    return lambda: rig.stores.overdue(STORE_ID, for_ms=MINUTE_MS, limit=9, epoch=epoch)


def _nobody_waits(*, epoch: int = 0, lane: bool = False, busy: bool = False) -> Scene:
    """Look for overdue refunds of a store that is not connected; its refund has ended."""

    def scene(rig: Rig) -> Changes:
        suspended(rig, NOT_CONNECTED)
        if not lane:
            rig.redis.delete(rig.key("lane", STORE_ID))
        if busy:
            rig.redis.zadd(rig.key("busy", STORE_ID), {"rf": 1})
        return changes(rig, _overdue(rig, epoch))

    return scene


#: The situation, and what changes.
CASES: list[tuple[str, Scene, Changes]] = [
    ("connected", lambda rig: changes(rig, lambda: _connect(rig)), CONNECTED),
    ("connected twice by one call", _connected_twice_by_one_call, CONNECTED),
    (
        "connected again while suspended",
        _connected_again,
        {
            **STARTED,
            **NOT_SUSPENDED,
            "lacking:STORE.submit_refund": GONE,
            "outcomes": [
                "store.connected",
                "refund.accepted",
                "store.suspended",
                "store.connected",
                "store.resumed",
            ],
            "store:STORE.connected_at_ms": "now",
            "store:STORE.connected_by": "NONCE",
            "store:STORE.epoch": 2,
            "store:STORE.events": 4,
            "store:STORE.last_error": GONE,
            "store:STORE.last_error_at_ms": GONE,
            "store:STORE.profile": {"name": "n"},
            "store:STORE.sealed": "new",
            "worked:STORE.cancel_order": GONE,
            "worked:STORE.get_order": "now",
        },
    ),
    (
        "connected after a disconnect",
        _connected_after_a_disconnect,
        {
            **CONNECTED,
            "outcomes": ["store.connected", "store.disconnected", "store.connected"],
            "store:STORE.disconnected_at_ms": GONE,
            "store:STORE.epoch": 3,
            "store:STORE.events": 3,
        },
    ),
    (
        "disconnected",
        _disconnected,
        {
            **STARTED,
            **NOT_SUSPENDED,
            "lacking:STORE.submit_refund": GONE,
            "outcomes": [
                "store.connected",
                "refund.accepted",
                "store.suspended",
                "store.disconnected",
            ],
            "store:STORE.connected_at_ms": GONE,
            "store:STORE.connected_by": GONE,
            "store:STORE.disconnected_at_ms": "now",
            "store:STORE.epoch": 2,
            "store:STORE.events": 3,
            "store:STORE.last_error": GONE,
            "store:STORE.last_error_at_ms": GONE,
            "store:STORE.profile": GONE,
            "store:STORE.sealed": GONE,
            "stores>STORE": GONE,
            "worked:STORE.cancel_order": GONE,
        },
    ),
    ("disconnected before", _disconnected_before, {}),
    (
        "resumed",
        _resumed(None),
        {
            **STARTED,
            **NOT_SUSPENDED,
            "outcomes": ["refund.accepted", "store.suspended", "store.resumed"],
            "store:STORE.epoch": 1,
            "store:STORE.events": 2,
            "store:STORE.resumed_by": "NONCE",
            "worked:STORE.get_order": GONE,
        },
    ),
    ("resumed by somebody who saw an older suspension", _resumed(7), {}),
    (
        "checked and refused",
        _probed(refused=True),
        {"probes>STORE": "now +20 min", "suspended:STORE.probes": 1},
    ),
    (
        "checked and refused many times",
        _probed(refused=True, probes=50),
        {"probes>STORE": "now +60 min", "suspended:STORE.probes": 51},
    ),
    ("checked without an answer", _probed(refused=False), {"probes>STORE": "now +10 min"}),
    ("checked when it is not suspended any more", _probed_too_late, {"probes>STORE": GONE}),
    ("encrypted again", _resealed("old"), {"store:STORE.sealed": "new"}),
    ("encrypted again by an earlier call", _resealed("new"), {}),
    ("encrypted again after another key", _resealed("newer"), {}),
    ("not connected, and no refund waits", _nobody_waits(), NOT_SUSPENDED),
    ("not connected, and a refund waits", _nobody_waits(lane=True), {}),
    ("not connected, and a refund runs", _nobody_waits(busy=True), {}),
    ("not connected, seen in an older suspension", _nobody_waits(epoch=7), {}),
]


@pytest.mark.parametrize(
    ("scene", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_a_script_changes_exactly_this(rig: Rig, scene: Scene, expected: Changes) -> None:
    """A write that is missing, or one too many, would be noticed much later, or never."""
    assert scene(rig) == expected


@pytest.mark.parametrize(("sealed", "is_new"), [("old", True), ("new", True), ("newer", False)])
def test_a_key_that_is_encrypted_again_says_whether_it_is(
    rig: Rig, sealed: str, is_new: bool
) -> None:
    """Also when an earlier call, whose reply was lost, has done it."""
    rig.stores.connect(STORE_ID, sealed, {}, [])
    assert rig.stores.reseal(STORE_ID, "old", "new") is is_new


def test_the_first_key_of_a_store_connects_it_and_another_rotates_it(rig: Rig) -> None:
    """Operators see which of the two it was."""
    assert [_connect(rig), _connect(rig)] == ["connected", "rotated"]
    assert rig.stores.disconnect(STORE_ID)
    assert _connect(rig) == "connected"


@pytest.mark.parametrize(("age_min", "found"), [(0, []), (9, []), (10, ["rf"]), (11, ["rf"])])
def test_a_refund_is_overdue_after_its_time_and_not_before(
    rig: Rig, age_min: int, found: list[str]
) -> None:
    """The answer also says when the next one will be."""
    suspended(rig, NOT_CONNECTED)
    rig.redis.hincrby(rig.key("refund", "rf"), "updated_at_ms", -age_min * MINUTE_MS)
    next_in_ms, ids = rig.stores.overdue(STORE_ID, for_ms=10 * MINUTE_MS, limit=9, epoch=0)
    assert ids == found
    left_min = 10 if found else 10 - age_min
    assert (left_min - 1) * MINUTE_MS < next_in_ms <= left_min * MINUTE_MS
