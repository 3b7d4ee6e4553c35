"""A job that is sent with an empty value is refused: empty must not mean everything."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.refund.canonical import FIRST_FIELDS
from worker.refund.field_types import _as_uuid
from worker.refund.request import InvalidJob, RefundRequest, parse_request

JOB: dict[str, Any] = {
    "refund_id": "rf-1",
    "store_id": "4b296c48-0000-4000-8000-000000000001",
    "order_id": "67668940-527d-4465-94c6-5475d8c7a412",
}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("lines", []),
        ("lines", ()),
        ("additional_fees", []),
        ("shipping", ""),
        ("amount", ""),
        ("currency", ""),
        ("refund_id", ""),
        ("manual_payments", ""),
        ("lines", [{"line_item_id": "", "quantity": 1}]),
        ("lines", [{"line_item_id": " ", "quantity": 1}]),
        ("additional_fees", [{"additional_fee_id": " "}]),
        ("additional_fees", [{"additional_fee_id": "f", "amount": ""}]),
    ],
)
def test_an_empty_value_is_refused_by_name(field: str, value: object) -> None:
    """A caller whose variable was empty must not refund the whole order."""
    with pytest.raises(InvalidJob) as caught:
        parse_request(JOB | {field: value})
    assert any(place.startswith(field) for place in caught.value.problems)


def test_an_empty_list_is_explained() -> None:
    """What to do instead."""
    with pytest.raises(InvalidJob, match="lines: must not be empty; leave it out to refund all"):
        parse_request(JOB | {"lines": []})


def test_a_stored_record_without_lines_is_still_read() -> None:
    """Records hold the defaults, too."""
    stored = parse_request(JOB).canonical
    assert RefundRequest.model_validate_json(stored) == parse_request(JOB)


def test_a_job_from_the_previous_client_is_still_accepted() -> None:
    """It sent every field; during an upgrade such jobs are on the queue."""
    now = json.loads(parse_request(JOB).canonical)
    before = {name: value for name, value in now.items() if name in FIRST_FIELDS}
    assert before["lines"] == []
    assert parse_request(before) == parse_request(JOB)


def test_a_record_holds_no_field_that_the_previous_release_does_not_know() -> None:
    """It refuses such a record, and runs beside this version during an upgrade."""
    line = {"line_item_id": "l1", "quantity": 1}
    defaults = {"version": 1, "priority": "normal", "expires_at": None, "callback": None}
    for job in (JOB, JOB | defaults, JOB | {"lines": [line | {"amount": None, "reason": ""}]}):
        stored = json.loads(parse_request(job).canonical)
        assert set(stored) == FIRST_FIELDS
        assert stored["lines"] == ([line] if "lines" in job else [])


@given(
    st.uuids().map(str), st.sampled_from([str, str.upper, "{{{}}}".format, "urn:uuid:{}".format])
)
def test_an_id_is_written_in_one_way(text: str, spelled: Callable[[str], str]) -> None:
    """Also the one that is written so already, and is not parsed."""
    assert _as_uuid(spelled(text)) == text == str(UUID(text))
