"""Which error each status and code of Wix becomes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest

from worker.errors import (
    CallFailed,
    EffectUnknown,
    Forbidden,
    Permanent,
    Retryable,
    Unauthorized,
)
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
        (403, Forbidden, Forbidden),
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
def test_each_status_becomes_the_right_error(
    status: int, read: type[CallFailed], mutation: type[CallFailed]
) -> None:
    """A failed reading call can be repeated; the effect of a mutating call may be unknown."""
    assert type(_error(status, mutates=False)) is read
    assert type(_error(status, mutates=True)) is mutation


def test_a_missing_site_id_counts_as_a_refused_key() -> None:
    """Wix answers 428 `MISSING_METASITE_ID` instead of 401. W6."""
    body = {"details": {"applicationError": {"code": "MISSING_METASITE_ID"}}}
    assert type(_error(428, mutates=True, json=body)) is Unauthorized
    assert kind_of(428, None) == "permanent"


def test_a_403_says_why_or_may_be_throttling() -> None:
    """Only a code of Wix's is a verdict; a gateway may have sent a mutating call on. W5."""
    body = {"message": "", "details": {"applicationError": {"code": "PERMISSION_DENIED"}}}
    for mutates in (True, False):
        assert type(_error(403, mutates=mutates, json=body)) is Unauthorized
    assert type(_error(403, mutates=False, content=b"<html>")) is Forbidden
    assert type(_error(403, mutates=True, content=b"<html>")) is EffectUnknown
    assert type(_error(403, mutates=True, json={"message": "Forbidden"})) is EffectUnknown


def test_a_403_with_retry_after_is_throttling() -> None:
    """A key that lacks a permission is not told to come back. W5, W8."""
    response = httpx.Response(403, headers={"retry-after": "90"}, content=b"")
    assert type(error_from("get_order", response, mutates=False)) is Retryable
    assert type(error_from("cancel_order", response, mutates=True)) is EffectUnknown
    body = {"message": "", "details": {"applicationError": {"code": "PERMISSION_DENIED"}}}
    named = httpx.Response(403, headers={"retry-after": "90"}, json=body)
    assert type(error_from("get_order", named, mutates=False)) is Unauthorized


def test_code_request_id_and_facts_are_kept() -> None:
    """They are what Wix's support asks for; nothing else of the body is kept."""
    found = {"paymentId": "p", "nonRefundableReason": "PENDING_REFUND", "email": "a@b.co"}
    body = {"details": {"applicationError": {"code": "PAYMENT_NOT_REFUNDABLE", "data": found}}}
    error = _error(428, mutates=True, json=body)
    assert (error.code, error.request_id) == ("PAYMENT_NOT_REFUNDABLE", "r-1")
    assert error.facts == {"paymentId": "p", "nonRefundableReason": "PENDING_REFUND"}
    assert str(error) == "cancel_order HTTP 428 PAYMENT_NOT_REFUNDABLE (wix request r-1)"


def test_a_validation_error_names_the_field() -> None:
    """Field and rule are kept, the value is not."""
    violation = {"field": "customerReason", "violatedRule": "MAX_LENGTH", "description": "a@b.co"}
    body = {"details": {"validationError": {"fieldViolations": [violation, "odd"]}}}
    assert _error(400, mutates=True, json=body).detail == "customerReason breaks MAX_LENGTH"


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>Forbidden</html>", b"[1]", b"{", b"\xff\xfe", b'{"details": []}',
     b'{"details": {"applicationError": "x", "validationError": 3}}', b"[" * 100_000],
)  # fmt: skip
def test_any_error_body_is_accepted(body: bytes) -> None:
    """Wix or a gateway may send HTML, nothing, or JSON of another shape. W3."""
    error = _error(403, mutates=False, content=body)
    assert (type(error), error.code, error.detail) == (Forbidden, None, "")
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
    """Both forms of the standard, at most an hour; anything else is ignored."""
    headers = httpx.Headers([(b"retry-after", header.encode())])
    assert retry_after_ms(headers, NOW) == expected


@pytest.mark.parametrize("status", [400, 404, 428, 501])
@pytest.mark.parametrize("body", [b"<html>", b"", b"{}"])
def test_a_refusal_that_is_not_from_wix_is_not_final(status: int, body: bytes) -> None:
    """The page of a gateway or of a wrong address says nothing about an order. W3."""
    assert type(_error(status, mutates=False, content=body)) is Retryable
    assert type(_error(status, mutates=True, content=body)) is EffectUnknown
