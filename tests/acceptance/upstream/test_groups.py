"""Groups: each event to one consumer, again until it is acknowledged, in order per refund."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.rig import Rig, settings_for
from worker.client import RefundQueue
from worker.simulator import Simulator
from worker.upstream import Outcomes


class World:
    """A stream, and consumers of one group."""

    def __init__(self, rig: Rig, queue: RefundQueue) -> None:
        self._rig = rig
        self._queue = queue
        self._written = 0

    def write(self, *subjects: str) -> None:
        """Append an event for each subject, as the worker's scripts write them."""
        for subject in subjects:
            self._written += 1
            event = {
                "specversion": "1.0", "type": "refund.accepted", "source": "s",
                "id": str(self._written), "subject": subject, "data": {"subject": "other"},
            }  # fmt: skip
            text = json.dumps(event, separators=(",", ":"))
            self._rig.redis.xadd(self._rig.key("outcomes"), {"event": text})

    def consumer(self, name: str, **more: Any) -> Outcomes:
        """Return a consumer."""
        return self._queue.outcomes(group="g", consumer=name, **more)

    def silence(self, name: str) -> None:
        """Let a consumer be silent for an hour."""
        self._rig.redis.zincrby(self._rig.key("outcomes", "beats", "g"), -3_600_000, name)

    def pending(self) -> int:
        """Return how many events are not acknowledged."""
        return int(self._rig.redis.xpending(self._rig.key("outcomes"), "g")["pending"])


@pytest.fixture
def world(rig: Rig, queue: RefundQueue) -> World:
    """A stream, and consumers of one group."""
    return World(rig, queue)


def _ids(events: Outcomes) -> list[int]:
    return [int(outcome.event["id"]) for outcome in events]


def test_an_event_comes_again_until_it_is_acknowledged(world: World) -> None:
    """A consumer that crashed and starts again under its name gets it at once."""
    world.write("a", "b")
    first = world.consumer("one")
    outcome = next(first)
    first.acknowledge(outcome)
    assert _ids(world.consumer("one")) == [2]
    again = world.consumer("one")
    for outcome in again:
        again.acknowledge(outcome)
    assert _ids(world.consumer("one")) == []
    assert world.pending() == 0


def test_a_new_group_begins_where_it_is_told(world: World, rig: Rig) -> None:
    """By default with the first event: nothing is missed."""
    world.write("a", "b")
    [first, _] = rig.redis.xrange(rig.key("outcomes"))
    assert _ids(world.consumer("one", after=first[0])) == [2]


def test_each_event_goes_to_one_consumer(world: World) -> None:
    """Both get some of them if there are many."""
    world.write(*(f"rf-{number}" for number in range(30)))
    one, two = world.consumer("one"), world.consumer("two")
    got_one = [next(one)]
    got_two = _ids(two)
    got_one += list(one)
    ids = [int(outcome.event["id"]) for outcome in got_one]
    assert sorted(ids + got_two) == list(range(1, 31))
    assert ids
    assert got_two


def test_the_events_of_one_refund_go_to_one_consumer_while_one_is_open(world: World) -> None:
    """Else the second consumer could be faster, and see the end before the beginning."""
    world.write("a")
    one, two = world.consumer("one"), world.consumer("two")
    first = next(one)
    world.write("a", "b")
    assert _ids(two) == [3]
    assert [outcome.event["id"] for outcome in one] == ["2"]
    one.acknowledge(first)
    world.write("a")
    assert _ids(two) == []
    assert _ids(one) == [4]


def test_when_all_are_acknowledged_any_consumer_may_go_on(world: World) -> None:
    """The order is kept, and nobody owns a refund for ever."""
    world.write("a")
    one, two = world.consumer("one"), world.consumer("two")
    one.acknowledge(next(one))
    world.write("a")
    assert _ids(two) == [2]


def test_the_events_of_a_dead_consumer_are_taken_over_in_order(world: World) -> None:
    """What it had not acknowledged comes before what came later."""
    world.write("a", "b", "a")
    dead = world.consumer("dead")
    dead.acknowledge(next(dead))
    world.write("a")
    assert _ids(world.consumer("two")) == []
    world.silence("dead")
    heir = world.consumer("two")
    assert _ids(heir) == [2, 3, 4]


def test_a_consumer_that_leaves_gives_its_events_back_at_once(world: World) -> None:
    """A deploy need not wait for a minute."""
    world.write("a")
    with world.consumer("one") as one:
        next(one)
    assert _ids(world.consumer("two")) == [1]


def test_a_consumer_that_wakes_up_late_can_still_acknowledge(world: World) -> None:
    """It has dealt with the event; the heir may do so, too, and nothing else happens."""
    world.write("a")
    late = world.consumer("late")
    outcome = next(late)
    world.silence("late")
    heir = world.consumer("heir")
    inherited = next(heir)
    late.acknowledge(outcome)
    heir.acknowledge(inherited)
    assert world.pending() == 0
    world.write("a")
    assert _ids(heir) == [2]


def test_consumers_of_other_programs_are_found_when_they_fall_silent(
    world: World, rig: Rig
) -> None:
    """Any client of Redis may read from the group with XREADGROUP."""
    world.write("a")
    stream = rig.key("outcomes")
    rig.redis.xgroup_create(stream, "g", "0")
    assert rig.redis.xreadgroup("g", "foreign", {stream: ">"})
    assert _ids(world.consumer("one")) == []
    world.silence("foreign")
    assert _ids(world.consumer("one")) == [1]


def test_events_that_were_trimmed_are_no_obstacle(world: World, rig: Rig) -> None:
    """Upstream may trim the stream; what nobody can read any more is not pending."""
    world.write("a", "b")
    next(world.consumer("one"))
    rig.redis.xtrim(rig.key("outcomes"), maxlen=0, approximate=False)
    assert _ids(world.consumer("one")) == []
    assert world.pending() == 0
    world.write("a")
    assert _ids(world.consumer("one")) == [3]


def test_a_server_that_forgot_the_group_gets_it_again(world: World, rig: Rig) -> None:
    """As after a failover: all events come again, as the documentation says."""
    world.write("a")
    one = world.consumer("one")
    one.acknowledge(next(one))
    rig.redis.xgroup_destroy(rig.key("outcomes"), "g")
    assert _ids(one) == [1]


def test_a_group_waits_for_the_first_event_of_all(world: World) -> None:
    """Without a stream there is nothing to read yet."""
    assert _ids(world.consumer("one")) == []
    world.write("a")
    assert next(world.consumer("one", follow=True)).event["id"] == "1"


@pytest.mark.parametrize("name", ["", "a b", "x" * 101, "a/b"])
def test_a_name_that_cannot_be_part_of_a_key_is_refused(queue: RefundQueue, name: str) -> None:
    """An empty group would read without one."""
    with pytest.raises(ValueError, match="a name must be"):
        queue.member(name, "one", "0", 60)


_subjects = st.sampled_from("abc")
_moves = st.one_of(
    st.tuples(st.just("write"), _subjects),
    st.tuples(st.just("take"), st.sampled_from("123")),
    st.tuples(st.just("acknowledge"), st.sampled_from("123")),
    st.tuples(st.just("die"), st.sampled_from("123")),
)


@given(st.lists(_moves, max_size=40))
@settings(max_examples=60)
def test_the_order_of_a_refund_is_kept_whatever_happens(
    redis_url: str, moves: list[tuple[str, str]]
) -> None:
    """Each consumer deals with its events in order, dies at any moment, and others go on."""
    rig = Rig(settings_for(redis_url), Simulator())
    with RefundQueue(redis_url, namespace=rig.settings.namespace) as queue:
        world = World(rig, queue)
        lives = dict.fromkeys("123", 0)
        consumers: dict[str, Outcomes] = {}
        taken: dict[str, list[Any]] = {name: [] for name in "123"}
        done: list[Any] = []

        def consumer(name: str) -> Outcomes:
            return consumers.setdefault(name, world.consumer(f"{name}-{lives[name]}"))

        def take(name: str) -> None:
            taken[name] += [outcome for outcome in [next(consumer(name), None)] if outcome]

        def acknowledge(name: str) -> None:
            for outcome in taken[name][:1]:
                consumer(name).acknowledge(taken[name].pop(0))
                done.append(outcome.event)

        def die(name: str) -> None:
            consumers.pop(name, None)
            taken[name].clear()
            world.silence(f"{name}-{lives[name]}")
            lives[name] += 1

        acts: dict[str, Callable[[str], None]] = {
            "write": world.write,
            "take": take,
            "acknowledge": acknowledge,
            "die": die,
        }
        for act, value in moves:
            acts[act](value)
        for name in "123":
            die(name)
        last = world.consumer("last")
        for outcome in last:
            last.acknowledge(outcome)
            done.append(outcome.event)
        assert world.pending() == 0
        written = [value for act, value in moves if act == "write"]
        for subject in "abc":
            ids = [int(event["id"]) for event in done if event["subject"] == subject]
            asked = [n for n, one in enumerate(written, start=1) if one == subject]
            assert ids == asked
    rig.close()
