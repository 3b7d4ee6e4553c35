"""What is left of a forgotten refund, as text."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
from hypothesis import given

from statemachine.flows import TERMINAL, State
from worker.refund.tombstone import LETTERS, Tombstone, tombstone_from

UUID = "3f1c1b1e-0000-4000-8000-000000000001"


def test_each_state_in_which_a_refund_ends_has_a_letter_of_its_own() -> None:
    """A dead letter has none."""
    assert set(LETTERS) == TERMINAL
    assert len(set(LETTERS.values())) == len(LETTERS)


@given(
    state=st.sampled_from(sorted(TERMINAL)),
    ended_at_s=st.integers(0, 2**32 - 1),
    amount=st.sampled_from(["", "0.00", "101.40", "99999999.9999", "5"]),
    currency=st.sampled_from(["", "USD", "JPY"]),
    wix_id=st.one_of(st.uuids().map(str), st.text(max_size=40), st.just("")),
)
def test_it_says_what_it_was_made_of(
    state: State, ended_at_s: int, amount: str, currency: str, wix_id: str
) -> None:
    """Also with an id of Wix that is no UUID, or one in another spelling."""
    left = Tombstone(state, ended_at_s, amount, currency, wix_id)
    assert tombstone_from({"digest": "d", "t": left.text()}) == left


@pytest.mark.parametrize("wix_id", [UUID.upper(), UUID.replace("-", ""), f"{{{UUID}}}", "x" * 22])
def test_an_id_comes_back_as_it_was(wix_id: str) -> None:
    """Only the usual spelling of a UUID is shortened."""
    left = Tombstone(State.REFUNDED, 1, "1.00", "USD", wix_id)
    assert tombstone_from({"t": left.text()}) == left


@pytest.mark.parametrize("text", ["", "r", "R00000001|", "r0000000|", "r00000001", "r00000001|x"])
def test_another_text_is_no_tombstone(text: str) -> None:
    """It was damaged."""
    assert tombstone_from({"digest": "d", "t": text}) is None
