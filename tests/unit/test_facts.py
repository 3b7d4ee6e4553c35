"""Facts: what is stored, what is forgotten, and records written before the typed model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from worker.observability.redaction import MASK
from worker.refund.facts import (
    NO_FACTS,
    CancelRefusal,
    Facts,
    Lifetime,
    ManualAmount,
    RefundedPayment,
    facts_from,
    lifetimes_of,
)
from worker.refund.record import refund_from

#: Hashes that commit 561fbf8 stored in its own tests; every fact and every state occurs.
RECORDS: list[dict[str, str]] = json.loads(
    (Path(__file__).parents[1] / "golden" / "records.json").read_text(encoding="utf-8")
)


@pytest.mark.parametrize("stored", RECORDS, ids=lambda stored: str(stored["state"]))
def test_records_of_the_previous_version_are_read_unchanged(stored: dict[str, str]) -> None:
    """Reading and writing a record gives the stored JSON again; every fact has its own field."""
    refund = refund_from(stored)
    assert refund.state == stored["state"]
    assert json.loads(refund.facts.to_json()) == json.loads(stored["facts"])
    assert not refund.facts.model_extra


def test_the_samples_contain_every_fact() -> None:
    """Otherwise the test above would not notice a renamed field."""
    seen: set[str] = set()
    for stored in RECORDS:
        seen |= set(json.loads(stored["facts"]))
    assert seen == set(Facts.model_fields) - {
        "overpaid",
        "quiet_looks",
        "look_only",
        "unreadable",
        "not_refunded",
        "refused_payments",
        "unlisted_before",
        "refusals",
        "paid",
        "moved_by_wix",
        "to_pay_back",
        "also_refundable",
        "left_to_refund",
        "split",
    }


#: Forgotten at either moment.
BOTH = {"looks", "waiting_since_ms", "misses", "changed", "quiet_looks", "look_only"} | {
    "refused_payments"
}


def test_only_what_was_set_is_stored() -> None:
    """A fact that no step has set does not appear in the record."""
    assert NO_FACTS.to_json() == "{}"
    assert Facts(looks=0).known() == {"looks": 0}
    assert (Facts(looks=1, rounds=2) | Facts(looks=3)).known() == {"looks": 3, "rounds": 2}


@pytest.mark.parametrize(
    ("lifetime", "forgotten"),
    [
        (
            Lifetime.TRANSITION,
            {
                *BOTH,
                "unclear_sends",
                "refunds_before",
            },
        ),
        (
            Lifetime.REPLAY,
            {*BOTH, "rounds", "deleted", "vanished"},
        ),
    ],
)
def test_facts_are_forgotten_when_their_lifetime_ends(
    lifetime: Lifetime, forgotten: set[str]
) -> None:
    """The other facts are kept."""
    everything: dict[str, Any] = {"quiet_looks": 1, "look_only": True, "refused_payments": {}}
    for stored in RECORDS:
        everything |= json.loads(stored["facts"])
    left = facts_from(json.dumps(everything)).forget(lifetime)
    assert set(everything) - set(left.known()) == forgotten


def test_facts_of_a_newer_version_are_kept() -> None:
    """An older worker that runs beside a newer one must not drop fields that it does not know."""
    newer = facts_from('{"learnt_later": [1], "looks": 2}')
    assert (newer | Facts(looks=3)).known() == {"learnt_later": [1], "looks": 3}
    assert newer.forget(Lifetime.TRANSITION).known() == {"learnt_later": [1]}


def test_no_secret_is_stored() -> None:
    """A text of Wix may contain one."""
    assert MASK in Facts(fulfillments=({"id": "f", "note": "to ann@example.com"},)).to_json()


#: How a docstring states each lifetime.
_STATED = {
    frozenset[Lifetime](): "Lifetime: forever",
    frozenset({Lifetime.TRANSITION}): "Lifetime: one transition.",
    frozenset({Lifetime.REPLAY}): "Lifetime: until a replay.",
    frozenset(Lifetime): "Lifetime: one transition, or until a replay.",
}


@pytest.mark.parametrize("name", sorted(Facts.model_fields))
def test_the_docstring_of_a_fact_states_its_lifetime(name: str) -> None:
    """The docstring agrees with the annotation that the code obeys."""
    text = " ".join((Facts.model_fields[name].description or "").split())
    assert text.endswith(".")
    assert _STATED[lifetimes_of(name)] in text


@pytest.mark.parametrize("model", [RefundedPayment, ManualAmount, CancelRefusal])
def test_every_field_of_a_stored_model_has_a_docstring(model: type[BaseModel]) -> None:
    """It says what the field holds, and its unit if it has one."""
    assert all(field.description for field in model.model_fields.values())


def test_a_manual_amount_keeps_its_json_key() -> None:
    """`already_returned` is stored as `gone`, as the previous version did."""
    stored = '{"manual_paid":{"p":{"amount":"5.00","gone":"1.00"}}}'
    paid = ManualAmount(amount="5.00", already_returned="1.00")
    assert Facts(manual_paid={"p": paid}).to_json() == stored
    assert facts_from(stored).manual_paid == {"p": paid}


#: Facts as a step may find them, some of a newer version.
SOME = st.builds(
    Facts.model_validate,
    st.fixed_dictionaries(
        {},
        optional={
            "currency": st.sampled_from(["USD", "JPY"]),
            "looks": st.integers(0, 3),
            "refunds_before": st.lists(st.sampled_from("ab"), max_size=2),
            "paid": st.none() | st.just([{"payment_id": "p", "amount": "1"}]),
            "manual_asked": st.just({"p": {"amount": "1", "gone": "0", "newer": 1}}),
            "of_a_newer_version": st.integers(0, 1),
        },
    ),
)


@given(SOME, SOME)
def test_facts_are_joined_and_forgotten_as_by_copies_of_pydantic(old: Facts, new: Facts) -> None:
    """Equal in their values, in what was set, in unknown fields, and in the text that is stored."""
    names = new.model_fields_set | set(new.model_extra or {})
    update = {name: getattr(new, name) for name in names}
    joined, expected = old | new, old.model_copy(update=update)
    assert joined == expected
    assert joined.known() == expected.known()
    assert joined.to_json() == expected.to_json()
    kept = {name: one for name, one in update.items() if not lifetimes_of(name)}
    left = new.forget(Lifetime.TRANSITION, Lifetime.REPLAY)
    assert left == NO_FACTS.model_copy(update=kept)
    assert left.to_json() == NO_FACTS.model_copy(update=kept).to_json()
    assert not NO_FACTS.known()
