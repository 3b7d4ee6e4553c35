"""Whatever bytes are on the queue: the worker reads them, and says what is wrong."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from config.fields import ProducerEntry
from worker.cli.csv_cells import read_cell, safe_cell
from worker.cli.job_files import read_jobs
from worker.cli.job_input import WrongJobs
from worker.observability.redaction import redact
from worker.queue.decoding import Undecodable, decode
from worker.refund.producers import Producers, Refusal, Signed
from worker.refund.request import InvalidJob, RefundRequest, parse_request, stored_request
from worker.upstream.fast import encode_at_once
from worker.upstream.invalid import as_tables
from worker.upstream.job import encode_job
from worker.upstream.rules import RULES
from worker.upstream.signing import Signer, canonical

KEY = "a-key-for-tests-only-0123456789abcdef"
JOB: dict[str, Any] = {
    "refund_id": "rf-1",
    "store_id": "4b296c48-0000-4000-8000-000000000001",
    "order_id": "67668940-527d-4465-94c6-5475d8c7a412",
}
PRODUCERS = Producers({"shop": ProducerEntry(keys=(KEY,), allow=("*",))}, 604_800)

_texts = (
    st.text()
    | st.text(st.characters(categories=["Cs"]), max_size=3)
    | st.sampled_from(
        ["2026-01-31T08:00:00Z", "EUR", "1.00", "0", "high", "defective", *JOB.values()]
    )
)
_any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | _texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_texts, inner, max_size=4),
    max_leaves=12,
)
_names = st.sampled_from([*RefundRequest.model_fields, "colour"]) | _texts
_fields = st.dictionaries(_names, _any, max_size=6)
_jobs = st.builds(lambda more: JOB | more, _fields) | _fields
_message = st.fixed_dictionaries(
    {"actor_name": st.just("request_refund") | _any},
    optional={
        "queue_name": _any, "args": st.just([]) | _any, "kwargs": _jobs | _any,
        "options": st.fixed_dictionaries({}, optional={"eta": _any, "signature": _any}) | _any,
        "message_id": _any, "message_timestamp": _any, "more": _any,
    },
)  # fmt: skip


@given(st.binary(max_size=300) | st.builds(lambda text: text.encode("utf-8", "replace"), _texts))
@example(b'{"actor_name": "request_refund", "kwargs": {"a": 1, "a": 2}}')
@example(b"[" * 100_000)
@example(b'{"actor_name":"request_refund","message_timestamp":' + b"9" * 5_000 + b"}")
def test_any_bytes_are_a_message_or_none(body: bytes) -> None:
    """As redis-py hands them over: what is not UTF-8 as escapes."""
    text = body.decode("utf-8", "backslashreplace")
    for of_jobs in (True, False):
        try:
            decode(text, queue="refunds", message_id="m", of_jobs=of_jobs)
        except Undecodable:
            continue


@given(_message)
def test_any_message_of_a_job_is_read_or_explained(message: dict[str, Any]) -> None:
    """Each error has one of the documented rules, and can be written as JSON."""
    try:
        found = decode(json.dumps(message), queue="refunds", message_id="m", of_jobs=True)
    except Undecodable:
        return
    _check(dict(found.kwargs), found.options.get("problems", {}))
    signed = PRODUCERS.check_signature(found.kwargs, found.options["given"], 0)
    assert isinstance(signed, Refusal)


@given(_jobs)
def test_any_job_is_read_or_explained(job: dict[str, Any]) -> None:
    """By the worker and by the client, whose checks agree with each other."""
    request = _check(job, {})
    try:
        sent, text = encode_job(job)
    except InvalidJob as error:
        _is_explained(error)
        assert encode_at_once(job) is None
        return
    assert request is not None
    assert parse_request(json.loads(text)).digest == request.digest
    assert encode_at_once(job) in {None, text}
    signature = Signer("shop", KEY).sign(sent)
    assert isinstance(
        PRODUCERS.check_signature(
            json.loads(text), {"signature": signature}, signature["timestamp"] * 1000
        ),
        Signed,
    )


def _check(job: dict[str, Any], problems: dict[str, str]) -> RefundRequest | None:
    try:
        request = parse_request(job, malformed=problems)
    except InvalidJob as error:
        _is_explained(error)
        return None
    assert stored_request(request.canonical) == request
    return request


def _is_explained(error: InvalidJob) -> None:
    assert error.errors
    assert {one.rule for one in error.errors} <= set(RULES)
    json.dumps([redact(error.problems), as_tables(error.errors)]).encode()


@given(_any)
def test_the_canonical_form_does_not_depend_on_the_order(value: Any) -> None:
    """And it can be read back."""

    def turned(one: Any) -> Any:
        if isinstance(one, dict):
            return {name: turned(one[name]) for name in reversed(one)}
        return [turned(each) for each in one] if isinstance(one, list) else one

    assert canonical(value) == canonical(turned(value))
    json.loads(canonical(value))


@pytest.mark.parametrize("is_csv", [False, True])
@given(
    content=st.binary(max_size=300)
    | st.lists(st.text("a,;\"\n\r\t\ufeff{}:1=\x00'", max_size=30), max_size=6).map(
        lambda lines: "\n".join(["refund_id,store_id,order_id,amount", *lines]).encode()
    )
    | st.lists(_jobs, max_size=3).map(lambda jobs: "\n".join(map(json.dumps, jobs)).encode())
)
@example(content=b"\r\x01")
def test_any_file_of_jobs_is_read_or_refused(is_csv: bool, content: bytes) -> None:
    """Line by line, with numbers that only grow."""
    try:
        lines = list(read_jobs(io.BytesIO(content), "jobs", is_csv=is_csv))
    except WrongJobs:
        return
    numbers = [line.number for line in lines]
    assert numbers == sorted(set(numbers))
    assert all((line.job is None) == bool(line.errors) for line in lines)


@given(_texts)
def test_a_safe_cell_is_read_back(text: str) -> None:
    """Unless somebody wrote our mark himself, a cell has one meaning."""
    cell = safe_cell(text)
    assert not cell.startswith(("=", "@"))
    if not text.startswith("'"):
        assert read_cell(cell) == text
