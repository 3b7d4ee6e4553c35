"""Facts: what is stored, what is forgotten, and records of the version before the typed model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from worker.observability.redaction import MASK
from worker.refund.facts import NO_FACTS, Facts, Lifetime, facts_from
from worker.refund.record import refund_from

#: Hashes as commit 561fbf8 stored them, from its own tests: every fact and every state occurs.
RECORDS: list[dict[str, str]] = json.loads(
    (Path(__file__).parents[1] / "golden" / "records.json").read_text(encoding="utf-8")
)


@pytest.mark.parametrize("stored", RECORDS, ids=lambda stored: str(stored["state"]))
def test_records_of_the_version_before_are_read_as_they_were(stored: dict[str, str]) -> None:
    """What is read and written again is what was stored; every fact has a field of its own."""
    refund = refund_from(stored)
    assert refund.state == stored["state"]
    assert json.loads(refund.facts.to_json()) == json.loads(stored["facts"])
    assert not refund.facts.model_extra


def test_the_samples_have_every_fact() -> None:
    """Else the test above would not show that a field was renamed."""
    seen: set[str] = set()
    for stored in RECORDS:
        seen |= set(json.loads(stored["facts"]))
    assert seen == set(Facts.model_fields)


def test_only_what_was_set_is_stored() -> None:
    """A record without a fact stays without it."""
    assert NO_FACTS.to_json() == "{}"
    assert Facts(looks=0).known() == {"looks": 0}
    assert (Facts(looks=1, rounds=2) | Facts(looks=3)).known() == {"looks": 3, "rounds": 2}


@pytest.mark.parametrize(
    ("lifetime", "forgotten"),
    [
        (
            Lifetime.TRANSITION,
            {"looks", "waiting_since_ms", "misses", "changed", "unclear_sends", "refunds_before"},
        ),
        (
            Lifetime.REPLAY,
            {"looks", "waiting_since_ms", "misses", "changed", "rounds", "deleted", "vanished"},
        ),
    ],
)
def test_facts_are_forgotten_when_their_lifetime_ends(
    lifetime: Lifetime, forgotten: set[str]
) -> None:
    """And no others."""
    everything: dict[str, Any] = {}
    for stored in RECORDS:
        everything |= json.loads(stored["facts"])
    left = facts_from(json.dumps(everything)).forget(lifetime)
    assert set(everything) - set(left.known()) == forgotten


def test_facts_of_a_newer_version_are_kept() -> None:
    """An older worker beside a newer one must not lose what it does not understand."""
    newer = facts_from('{"learnt_later": [1], "looks": 2}')
    assert (newer | Facts(looks=3)).known() == {"learnt_later": [1], "looks": 3}
    assert newer.forget(Lifetime.TRANSITION).known() == {"learnt_later": [1]}


def test_no_secret_is_stored() -> None:
    """Wix's texts may hold one."""
    assert MASK in Facts(fulfillments=({"id": "f", "note": "to ann@example.com"},)).to_json()
