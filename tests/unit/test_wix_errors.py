"""One table from (status, code) to what it means."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest

from worker.errors import CallFailed, EffectUnknown, Permanent, Retryable, Unauthorized
from worker.wix.errors import error_from, kind_of, parse_body, retry_after_ms

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def _error(status: int, *, mutates: bool, **more: object) -> CallFailed:
    more = more or {"json": {"message": "", "details": {}}}
    response = httpx.Response(status, headers={"x-wix-request-id": "r-1"}, **more)  # type: ignore[arg-type]  # json or content
    return error_from("cancel_order", response, mutates=mutates)


@pytest.mark.parametrize(
    ("status", "read", "mutation"),
    [
        (400, Permanent, Permanent),
        (401, Unauthorized, Unauthorized),
        (403, Unauthorized, Unauthorized),
        (404, Permanent, Permanent),
        (409, Retryable, EffectUnknown),
        (418, Permanent, Permanent),
        (428, Permanent, Permanent),
        (429, Retryable, EffectUnknown),
        (500, Retryable, EffectUnknown),
        (501, Permanent, Permanent),
        (503, Retryable, EffectUnknown),
        (504, Retryable, EffectUnknown),
        (302, Retryable, EffectUnknown),
    ],
)
def test_a_status_means_what_the_table_says(
    status: int, read: type[CallFailed], mutation: type[CallFailed]
) -> None:
    """The same status is harmless on a read and unclear on a mutation."""
    assert type(_error(status, mutates=False)) is read
    assert type(_error(status, mutates=True)) is mutation


def test_a_missing_site_is_a_key_problem_although_it_is_428() -> None:
    """Wix answers so instead of 401 (observed)."""
    body = {"details": {"applicationError": {"code": "MISSING_METASITE_ID"}}}
    assert type(_error(428, mutates=True, json=body)) is Unauthorized
    assert kind_of(428, None) == "permanent"


def test_code_request_id_and_facts_are_kept() -> None:
    """What support will ask for, and nothing else of the body."""
    found = {"paymentId": "p", "nonRefundableReason": "PENDING_REFUND", "email": "a@b.co"}
    body = {"details": {"applicationError": {"code": "PAYMENT_NOT_REFUNDABLE", "data": found}}}
    error = _error(428, mutates=True, json=body)
    assert (error.code, error.request_id) == ("PAYMENT_NOT_REFUNDABLE", "r-1")
    assert error.facts == {"paymentId": "p", "nonRefundableReason": "PENDING_REFUND"}
    assert str(error) == "cancel_order HTTP 428 PAYMENT_NOT_REFUNDABLE (wix request r-1)"


def test_a_validation_error_names_the_field() -> None:
    """Field and rule; the value stays with Wix."""
    violation = {"field": "customerReason", "violatedRule": "MAX_LENGTH", "description": "a@b.co"}
    body = {"details": {"validationError": {"fieldViolations": [violation, "odd"]}}}
    assert _error(400, mutates=True, json=body).detail == "customerReason breaks MAX_LENGTH"


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>Forbidden</html>", b"[1]", b"{", b"\xff\xfe", b'{"details": []}',
     b'{"details": {"applicationError": "x", "validationError": 3}}', b"[" * 100_000],
)  # fmt: skip
def test_any_body_survives(body: bytes) -> None:
    """Wix sends HTML, nothing, or something of another shape (observed)."""
    error = _error(403, mutates=False, content=body)
    assert (type(error), error.code, error.detail) == (Unauthorized, None, "")
    assert parse_body(httpx.Response(200, content=body)) in (
        None,
        {"details": []},
        {"details": {"applicationError": "x", "validationError": 3}},
    )


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("3", 3_000),
        ("0", 0),
        ("999999", 3_600_000),
        (format_datetime(NOW + timedelta(seconds=90)), 90_000),
        (format_datetime(NOW - timedelta(seconds=90)), 0),
        ("Fri, 02 Jan 2026 03:05:05 -0000", 60_000),
        ("soon", None),
        ("-5", None),
        ("", None),
        ("²", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(header: str, expected: int | None) -> None:
    """Both forms of the standard; nonsense is no answer; never more than an hour."""
    headers = httpx.Headers([(b"retry-after", header.encode())])
    assert retry_after_ms(headers, NOW) == expected


@pytest.mark.parametrize("status", [400, 404, 428, 501])
@pytest.mark.parametrize("body", [b"<html>", b"", b"{}"])
def test_a_refusal_that_wix_did_not_write_is_unclear(status: int, body: bytes) -> None:
    """A gateway's page or a wrong address is no answer about an order."""
    assert type(_error(status, mutates=False, content=body)) is Retryable
    assert type(_error(status, mutates=True, content=body)) is EffectUnknown
