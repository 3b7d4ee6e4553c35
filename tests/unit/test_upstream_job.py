"""Upstream's check of a job and the worker's model take the same jobs."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError

from worker.refund.request import RefundRequest, parse_request, with_order_id
from worker.upstream.fast import encode_at_once
from worker.upstream.invalid import InvalidJob
from worker.upstream.job import check_job, encode_job

JOB: dict[str, Any] = {
    "refund_id": "rf-1",
    "store_id": "4b296c48-0000-4000-8000-000000000001",
    "order_id": "67668940-527d-4465-94c6-5475d8c7a412",
}
LINE = {"line_item_id": "l1", "quantity": 1}
FEE = {"additional_fee_id": "f1"}
EUR = {"currency": "EUR"}
#: What is given for a field, alone or beside a currency; some of it is valid for some fields.
VALUES: list[Any] = [
    None, True, False, 0, 1, 2, -1, 100_000, 100_001, 1.0, 1.5, "", " ", "\x1c", "\u2003", "a",
    "1", "0", "0.0000", "00.01", "12.50", "1.23456", "1" * 15, "1" * 16, "-1", "+1", "1E+2",
    "NaN", "1,5", "\uff11", "1\n", "EUR", "eur", "EURO", "rf-1", "-rf", "rf\n", "x" * 100,
    "x" * 101,
    "x" * 500, "x" * 501, "\ud83d", "\0", "escalate", "record", "true",
    "{4b296c48-0000-4000-8000-000000000001}", "urn:uuid:4b296c48-0000-4000-8000-000000000001",
    "4B296C48000040008000000000000001", "4b296c48000040008000000000000001" + "-" * 7,
    "4b296c48_000_4000_8000_00000000001", [], {}, [[]], [{}], ["a"], [None], [LINE], [LINE] * 300,
    [LINE] * 301, [LINE | {"quantity": 0}], [LINE | {"quantity": "1"}],
    [LINE | {"quantity": True}], [LINE | {"quantity": 1.0}], [LINE | {"quantity": None}],
    [{"quantity": 1}], [LINE | {"line_item_id": " "}], [LINE | {"line_item_id": 1}],
    [LINE | {"colour": "red"}], [FEE], [FEE] * 100, [FEE] * 101, [FEE | {"amount": None}],
    [FEE | {"amount": "1.00"}], [FEE | {"amount": "0"}], [FEE | {"amount": 1}], {"a": "b"},
    {"a": 1}, {"a": None}, {"a": "x" * 1_000}, {"a": "x" * 1_001}, {"x" * 100: ""},
    {"x" * 101: ""}, {"\ud83d": ""}, {"a": "\ud83d"}, {"": ""}, {str(n): "" for n in range(20)},
    {str(n): "" for n in range(21)}, "high", "normal", "defective", "10124", "#7 b",
    "billing", "Billing", "-x",
    "2026-01-31T08:00:00Z", "2026-01-31T08:00:00.5+01:00", "2026-01-31T08:00:00",
    "2026-02-30T08:00:00Z",
    "2026-01-31", "2026-01-31T24:00:00Z", "2026-01-31T08:00:00+99:00", "1999-01-31T08:00:00Z",
    "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
    "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    [LINE | {"amount": "1.00"}], [LINE | {"amount": "0"}], [LINE | {"amount": None}],
    [LINE | {"reason": "broken"}], [LINE | {"reason": "x" * 201}], [LINE | {"reason": 1}],
    [LINE | {"reason": "\ud83d"}], [LINE | {"reason": None}],
]  # fmt: skip
FIELDS = [*RefundRequest.model_fields, "colour"]


def _refused(job: dict[str, Any], check: Callable[[dict[str, Any]], object]) -> set[str]:
    """Return the names of the fields that a check refuses."""
    try:
        check(job)
    except InvalidJob as error:
        return {place.partition(".")[0] for place in error.problems}
    except ValidationError as error:
        return {str(problem["loc"][0]) if problem["loc"] else "job" for problem in error.errors()}
    return set()


def _strictly(job: dict[str, Any]) -> object:
    """Validate with the model alone, which names all fields at once."""
    return RefundRequest.model_validate_json(json.dumps(with_order_id(job)), strict=True)


def _compare(job: dict[str, Any]) -> None:
    here = _refused(job, check_job)
    there = _refused(job, parse_request)
    assert bool(here) == bool(there), job
    there |= _refused(job, _strictly)
    # "job" tells what is wrong with the fields together, or with how many; the model cannot read
    # a document with a lone surrogate.
    if not here:
        sent = json.loads(json.dumps(check_job(job)))
        assert parse_request(sent).digest == parse_request(job).digest
    elif "job" not in here and "\\ud83d" not in json.dumps(job):
        assert here == there - {"job"}, job


@pytest.mark.parametrize("field", FIELDS)
def test_both_judge_every_value_of_a_field_alike(field: str) -> None:
    """Alone, and with what other fields require."""
    for value in VALUES:
        for beside in (
            {}, EUR, {"restock": True}, {"lines": [LINE]}, EUR | {"amount": "1"},
            EUR | {"lines": [LINE | {"amount": "1"}]}, {"not_before": "2026-01-31T08:00:00Z"},
        ):  # fmt: skip
            _compare(JOB | beside | {field: value})


def test_either_the_id_or_the_number_of_an_order_is_given() -> None:
    """Both would be two orders; neither is none."""
    job = {name: value for name, value in JOB.items() if name != "order_id"}
    assert check_job(job | {"order_number": "10124"}) == job | {"order_number": "10124"}
    _compare(job | {"order_number": "10124"})
    _compare(JOB | {"order_number": "10124"})
    for wrong in (job, job | {"order_number": None}, job | {"order_number": ""}):
        assert _refused(wrong, check_job)
        assert _refused(wrong, parse_request)


@pytest.mark.parametrize("field", JOB)
def test_both_require_the_same_fields(field: str) -> None:
    """The three ids."""
    job = {name: value for name, value in JOB.items() if name != field}
    assert _refused(job, check_job) == _refused(job, parse_request) == {field}


_any_value = st.one_of(
    st.sampled_from(VALUES),
    st.text(max_size=120),
    st.text("0123456789.-+e ", max_size=22),
    st.text("0123456789abcdefABCDEF-{}:urnid", min_size=30, max_size=40),
    st.dictionaries(st.text(max_size=3), st.text(max_size=3) | st.integers()),
    st.lists(
        st.fixed_dictionaries(
            {},
            optional={
                "line_item_id": st.text(max_size=3),
                "additional_fee_id": st.text(max_size=3),
                "quantity": st.integers(-1, 2),
                "amount": st.sampled_from(["1", "0", "x"]),
            },
        ),
        max_size=3,
    ),
)


@given(st.dictionaries(st.sampled_from(FIELDS), _any_value, max_size=4))
@example({"requested_by": "x" * 101, "refund_id": None})
@example({"metadata": {"a": "x" * 1_001}, "refund_id": None})
def test_both_judge_any_job_alike(changed: dict[str, Any]) -> None:
    """Also several wrong fields at once."""
    _compare(JOB | changed)


@given(st.dictionaries(st.sampled_from(FIELDS), _any_value, max_size=4))
@example({"reason": 'damaged "\x00', "amount": "12.50", "currency": "EUR", "metadata": {"a": "b"}})
@example({"reason": "", "requested_by": "returns", "metadata": {}})
def test_the_short_way_gives_the_same_text(changed: dict[str, Any]) -> None:
    """Or leaves the job to the long one."""
    short = encode_at_once(JOB | changed)
    assert short is None or short == encode_job(JOB | changed)[1]


def test_the_short_way_takes_the_usual_jobs() -> None:
    """Else sending many would be slow, and no test would tell."""
    usual = {"reason": "damaged", "amount": "12.50", "currency": "EUR", "requested_by": "returns"}
    assert encode_at_once(JOB | usual | {"metadata": {"ticket": "T-7"}})
    assert encode_at_once(JOB)


def test_what_was_left_out_is_not_sent() -> None:
    """A default that is sent would be a field that an older worker may not know."""
    given = JOB | {"reason": "", "restock": False, "amount": None, "metadata": {}}
    assert check_job(given) == JOB


def test_an_id_is_sent_in_one_form() -> None:
    """One order has one id, however it was written."""
    job = JOB | {"store_id": "{4B296C48-0000-4000-8000-000000000001}"}
    assert check_job(job) == JOB


def test_an_error_names_the_fields_but_no_value() -> None:
    """It ends up in the sender's log."""
    wrong = JOB | {"reason": 5, "lines": [LINE | {"quantity": "canary"}], "amount": "canary"}
    with pytest.raises(InvalidJob) as caught:
        check_job(wrong)
    assert list(caught.value.problems) == ["lines.0.quantity", "amount", "reason"]
    assert "canary" not in str(caught.value)


def test_an_error_names_at_most_fifty_fields() -> None:
    """It ends up in the sender's log."""
    with pytest.raises(InvalidJob) as caught:
        check_job(JOB | {"lines": [{}] * 300})
    assert len(caught.value.problems) == 51
    assert caught.value.problems["job"] == "has 600 invalid fields"
