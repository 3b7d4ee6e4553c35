"""Which of its calls a process must name, for each heartbeat that a ledger may know."""

from __future__ import annotations

import pytest

from worker.queue import own_calls
from worker.queue.own_calls import MOST_FORGOTTEN_S, OwnCalls


class _Process:
    """A process and its clock; it vouches in era *a* first."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.calls = OwnCalls(lambda: self.now_s)
        self.vouch("a", found=0)

    def vouch(self, era: str, *, found: int) -> list[str]:
        """Vouch in another era, in which the ledger knows heartbeat *found*."""
        orders = self.calls.leave_era(found).orders
        number, _ = self.calls.next_beat()
        self.calls.enter_era(era, number, found)
        return orders

    def beat(self, *, after_s: float = 0.0) -> int:
        """Send a heartbeat, which is answered."""
        self.now_s += after_s
        number, era = self.calls.next_beat()
        assert self.calls.heard(number, era)
        return number


@pytest.fixture
def process() -> _Process:
    """A process that has vouched."""
    return _Process()


def test_a_call_is_in_the_data_if_a_later_heartbeat_is(process: _Process) -> None:
    """Only what follows the last heartbeat that the ledger knows may be forgotten."""
    first = process.beat()
    assert process.calls.made("one", "a")
    second = process.beat()
    assert process.calls.made("two", "a")
    assert process.calls.leave_era(first) == (["one", "two"], True)
    assert process.calls.leave_era(second) == (["two"], True)
    assert process.calls.leave_era(second + 1) == ([], True)


def test_a_heartbeat_that_was_under_way_proves_nothing(process: _Process) -> None:
    """Redis may have run it before the intent, which was answered first."""
    known = process.beat()
    sent, era = process.calls.next_beat()
    assert process.calls.made("one", "a")
    assert process.calls.heard(sent, era)
    assert process.calls.leave_era(sent).orders == ["one"]
    assert process.calls.leave_era(known).orders == ["one"]


def test_the_answer_of_a_server_that_was_replaced_comes_too_late(process: _Process) -> None:
    """Its intent was asked for in the era before, and the new server knows nothing of it."""
    era = process.calls.era
    process.vouch("b", found=1)
    assert not process.calls.made("one", era)
    assert process.calls.made("one", process.calls.era)


def test_no_intent_counts_while_the_process_vouches(process: _Process) -> None:
    """What it names must be complete."""
    process.calls.leave_era(1)
    assert process.calls.era is None
    assert not process.calls.made("one", "a")


def test_a_heartbeat_in_another_era_ends_the_own_one(process: _Process) -> None:
    """From then on no intent counts until it has vouched."""
    number, _ = process.calls.next_beat()
    assert not process.calls.heard(number, "b")
    assert not process.calls.made("one", "a")


def test_what_was_named_is_named_again_if_that_was_forgotten_as_well(process: _Process) -> None:
    """The second failover goes back to before the vouching after the first one."""
    known = process.beat()
    process.calls.made("one", "a")
    assert process.vouch("b", found=known) == ["one"]
    later = process.beat()
    assert process.calls.leave_era(known).orders == ["one"]
    assert process.calls.leave_era(later).orders == []


def test_more_is_forgotten_than_can_be_named(process: _Process) -> None:
    """Other workers may have come and gone in that time."""
    known = process.beat()
    process.beat(after_s=MOST_FORGOTTEN_S / 2)
    assert process.calls.leave_era(known).are_all
    process.vouch("b", found=known + 1)
    process.beat(after_s=MOST_FORGOTTEN_S / 2)
    process.beat(after_s=MOST_FORGOTTEN_S)
    assert not process.calls.leave_era(known).are_all


def test_a_time_without_answers_does_not_count(process: _Process) -> None:
    """While no server answers, nothing is written that could be forgotten."""
    known = process.beat()
    process.beat(after_s=1.0)
    process.now_s += 100 * MOST_FORGOTTEN_S
    process.calls.next_beat()
    assert process.calls.leave_era(known).are_all


def test_a_ledger_that_does_not_know_a_new_process(process: _Process) -> None:
    """It has forgotten all of its calls, and they are few."""
    process.calls.made("one", "a")
    assert process.vouch("b", found=0) == ["one"]
    for _ in range(3):
        process.beat(after_s=MOST_FORGOTTEN_S)
    assert not process.calls.leave_era(0).are_all


def test_old_calls_are_let_go(process: _Process, monkeypatch: pytest.MonkeyPatch) -> None:
    """The memory is bounded, by time and by number; then less may be forgotten."""
    process.calls.made("one", "a")
    for _ in range(3):
        process.beat(after_s=MOST_FORGOTTEN_S)
    assert process.calls.leave_era(0).orders == []
    process.vouch("b", found=4)
    monkeypatch.setattr(own_calls, "MOST_CALLS", 2)
    known = process.beat()
    for order in ("one", "two", "three"):
        process.calls.made(order, "b")
    assert process.calls.leave_era(known) == (["two", "three"], False)


def test_a_program_without_heartbeats_has_no_era() -> None:
    """Such as a command: its intents name none."""
    calls = OwnCalls()
    assert (calls.beats, calls.era) == (False, None)
    assert calls.made("one", None)
