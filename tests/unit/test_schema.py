"""The JSON Schema tells upstream what the worker checks, and errors say which rule is broken."""

from __future__ import annotations

import re
from typing import Any

import pytest

from worker.refund.event import Event
from worker.refund.request import InvalidJob, parse_request
from worker.refund.schema import NAMES, Name, schema_of
from worker.upstream.invalid import shape_of
from worker.upstream.job import check_job
from worker.upstream.rules import LONGEST, RULES

JOB: dict[str, Any] = {
    "refund_id": "rf-1",
    "store_id": "4b296c48-0000-4000-8000-000000000001",
    "order_id": "67668940-527d-4465-94c6-5475d8c7a412",
}


@pytest.mark.parametrize("name", NAMES)
def test_a_schema_names_its_dialect_and_describes_every_field(name: Name) -> None:
    """Also the fields of what is inside of lists."""
    schema = schema_of(name)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    for part in (schema, *schema["$defs"].values()):
        assert [
            field for field, is_ in part["properties"].items() if "description" not in is_
        ] == []


def test_the_examples_of_a_job_are_valid() -> None:
    """Each alone, with the currency that an amount needs."""
    for field, shape in schema_of("job")["properties"].items():
        for example in shape["examples"]:
            job = JOB | {"currency": "EUR", field: example}
            if field == "order_number":
                del job["order_id"]
            assert parse_request(check_job(job)).refund_id == job["refund_id"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("reason", "x" * LONGEST["reason"]),
        ("requested_by", "x" * LONGEST["requested_by"]),
        ("refund_id", "x" * 100),
    ],
)
def test_the_longest_text_of_the_schema_is_the_longest_that_is_taken(
    field: str, value: str
) -> None:
    """One character more is refused."""
    assert schema_of("job")["properties"][field]["maxLength"] == len(value)
    parse_request(JOB | {field: value})
    with pytest.raises(InvalidJob):
        parse_request(JOB | {field: value + "x"})


def test_the_amounts_of_the_schema_are_more_than_nothing() -> None:
    """The model says so in Python only."""
    refused = schema_of("job")["properties"]["amount"]["not"]["pattern"]
    assert [text for text in ("0", "0.00", "00.01", "1") if re.search(refused, text)] == [
        "0",
        "0.00",
    ]


def test_an_event_without_a_store_is_no_event() -> None:
    """The model of an event refuses what the schema refuses."""
    event = {
        "specversion": "1.0", "type": "refund.accepted", "source": "s", "id": "i", "subject": "rf",
        "time": "2024-01-01T00:00:00.000Z", "datacontenttype": "application/json",
        "data": {"store_id": None, "news": 1},
    }  # fmt: skip
    assert Event.model_validate(event).data.store_id is None
    with pytest.raises(ValueError, match="store_id"):
        Event.model_validate(event | {"data": {}})


#: Wrong fields, and what each error says: field, rule, shape of the value.
WRONG = [
    ({"colour": "canary"}, ("colour", "unknown", '"aaaaaa"')),
    ({"quantity": 1}, ("quantity", "unknown", "9")),
    ({"amount": "1,50", "currency": "EUR"}, ("amount", "format", '"9,99"')),
    ({"amount": "0.00", "currency": "EUR"}, ("amount", "zero", '"9.99"')),
    ({"amount": "1.50"}, ("job", "combination", None)),
    ({"order_id": None}, ("order_id", "format", "null")),
    ({"lines": []}, ("lines", "empty", "list of 0")),
    ({"lines": [{"line_item_id": "l1"}]}, ("lines.0.quantity", "required", None)),
    ({"lines": {}}, ("lines", "type", "table of 0")),
    ({"lines": [7]}, ("lines.0", "type", "9")),
    ({"reason": 5}, ("reason", "type", "9")),
    ({"reason": "x" * 501}, ("reason", "too_long", f'"{"a" * 40}..."')),
    ({"metadata": {"a.b": 5}}, ("metadata.a.b", "type", "9")),
    ({"metadata": {str(n): "" for n in range(21)}}, ("metadata", "too_long", "table of 21")),
    ({"version": 2}, ("version", "format", "9")),
    ({"priority": "urgent"}, ("priority", "format", '"aaaaaa"')),
    ({"expires_at": "tomorrow"}, ("expires_at", "format", '"aaaaaaaa"')),
    ({"reason_code": "canary"}, ("reason_code", "format", '"aaaaaa"')),
    (
        {
            "lines": [{"line_item_id": "l1", "quantity": 1, "amount": "1"}],
            "amount": "1",
            "currency": "EUR",
        },
        ("job", "combination", None),
    ),
    (
        {"not_before": "2026-01-31T08:00:00Z", "expires_at": "2026-01-31T09:00:00+01:00"},
        ("job", "combination", None),
    ),
]


@pytest.mark.parametrize("check", [check_job, parse_request])
@pytest.mark.parametrize(("wrong", "error"), WRONG)
def test_an_error_has_field_rule_and_shape(check: Any, wrong: dict[str, Any], error: Any) -> None:
    """The same from the client and from the worker, and never the value itself."""
    with pytest.raises(InvalidJob) as caught:
        check(JOB | wrong)
    [found] = caught.value.errors
    assert (found.field, found.rule, found.value) == error
    assert found.rule in RULES


@pytest.mark.parametrize("check", [check_job, parse_request])
def test_an_unknown_field_is_refused_with_the_nearest_known_one(check: Any) -> None:
    """Most of them are typing mistakes; a name like none of ours gets no advice."""
    line = {"line_item_id": "l1", "quantity": 1, "quantitiy": 1}
    with pytest.raises(InvalidJob) as caught:
        check(JOB | {"restok": True, "xyz": 1, "lines": [line]})
    assert caught.value.problems == {
        "restok": "there is no such field; did you mean restock?",
        "xyz": "there is no such field",
        "lines.0.quantitiy": "there is no such field; did you mean quantity?",
    }


@pytest.mark.parametrize("check", [check_job, parse_request])
def test_a_job_has_at_most_64_kib(check: Any) -> None:
    """As JSON in UTF-8; every field alone may be right."""
    notes = {str(n): "ä" * 1_000 for n in range(20)}
    lines = [{"line_item_id": f"l{n}".ljust(100, "x"), "quantity": 1} for n in range(200)]
    check(JOB | {"metadata": notes, "lines": lines[:100]})
    with pytest.raises(InvalidJob) as caught:
        check(JOB | {"metadata": notes, "lines": lines})
    assert caught.value.problems == {"job": "must have at most 65536 bytes as JSON"}


@pytest.mark.parametrize(
    ("value", "shape"),
    [
        (True, "true"), (12.5, "99.9"), (10**4_000, "number"), ("IST.aB9-ü\x1b", '"AAA.aA9-??"'),
        (b"x", "bytes"), (object(), "object"), ({}, "table of 0"), ((1, 2), "list of 2"),
    ],
)  # fmt: skip
def test_a_shape_tells_nothing_of_the_value(value: object, shape: str) -> None:
    """It may be a key that was pasted into the wrong field."""
    assert shape_of(value) == shape
