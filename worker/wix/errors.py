"""Map Wix's status and error code to our errors. W4."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from worker.errors import (
    CallFailed,
    EffectUnknown,
    Forbidden,
    Permanent,
    Retryable,
    Unauthorized,
)
from worker.observability.redaction import redact_text
from worker.wix.exchange import Answer

Kind = Literal["permanent", "unauthorized", "forbidden", "unclear"]

#: The code is looked up first ...
BY_CODE: Mapping[str, Kind] = MappingProxyType(
    {
        # eCommerce calls answer 428, not 401, if the site id or the key is missing. W6.
        "MISSING_METASITE_ID": "unauthorized",
        # These two 409s mean that nothing was done. W44, W75.
        "TRACKING_NUMBER_ALREADY_EXISTS": "permanent",
        "PAYMENT_ALREADY_VOIDED": "permanent",
    }
)
#: ... then the status. "unclear": a reading call may be repeated; after a mutating call, check
#: first whether it had an effect.
BY_STATUS: Mapping[int, Kind] = MappingProxyType(
    {
        400: "permanent",
        401: "unauthorized",
        403: "forbidden",
        404: "permanent",
        408: "unclear",
        409: "unclear",
        425: "unclear",
        428: "permanent",
        429: "unclear",
        501: "permanent",
    }
)

#: Maximum wait that we accept from `Retry-After`, which Wix does not document. W8.
RETRY_AFTER_CAP_MS = 3_600_000
#: The fields of an error's `data` that we keep; nothing else of a body enters our records.
_FACTS = ("paymentId", "nonRefundableReason", "lineItemId", "additionalFeeId")


def kind_of(status: int, code: str | None) -> Kind:
    """Look up both tables; unknown 4xx are permanent, all other unknown statuses unclear."""
    if by_code := BY_CODE.get(code or ""):
        return by_code
    if status == 403 and code:
        return "unauthorized"
    return BY_STATUS.get(status, "unclear" if status >= 500 or status < 400 else "permanent")


def retry_after_ms(headers: Mapping[str, str], now: datetime) -> int | None:
    """Return the wait of `Retry-After` (seconds or an HTTP date) in ms, at most an hour."""
    text = headers.get("retry-after", "").strip()
    try:
        if text.isdigit():
            wait_ms = int(text) * 1000
        else:
            moment = parsedate_to_datetime(text)
            if moment.tzinfo is None:
                moment = moment.replace(tzinfo=UTC)
            wait_ms = round((moment - now).total_seconds() * 1000)
    except (ValueError, TypeError, OverflowError):
        return None
    return min(max(wait_ms, 0), RETRY_AFTER_CAP_MS)


def parse_body(response: Answer) -> dict[str, Any] | None:
    """Return the body as a JSON object; None if it is anything else, such as HTML or empty."""
    try:
        body = json.loads(response.content)
    except (ValueError, RecursionError):
        return None
    return body if isinstance(body, dict) else None


def error_from(endpoint: str, response: Answer, *, mutates: bool) -> CallFailed:
    """Return the error for an answer whose status is not 200."""
    body = parse_body(response) or {}
    # An error body without Wix's fields may be from a gateway or a wrong address, so it proves
    # nothing.
    details = body.get("details")
    is_wix = isinstance(details, dict)
    details = details if isinstance(details, dict) else {}
    application = details.get("applicationError")
    application = application if isinstance(application, dict) else {}
    code = str(application["code"])[:80] if application.get("code") else None
    found = application.get("data")
    found = found if isinstance(found, dict) else {}
    violations = _violations(details)
    kind = kind_of(response.status_code, code)
    # Who answers for Wix may have sent the call on.
    is_doubtful = kind == "permanent" or (kind == "forbidden" and mutates)
    kind = "unclear" if is_doubtful and not is_wix else kind
    # A key that lacks a permission is not told when to come back. W5.
    wait_ms = retry_after_ms(response.headers, datetime.now(UTC))
    kind = "unclear" if kind == "forbidden" and wait_ms is not None else kind
    error = _CLASSES[kind, mutates]
    return error(
        endpoint,
        status=response.status_code,
        code=redact_text(code) if code else None,
        request_id=request_id(response),
        detail=redact_text(", ".join(f"{v.field} breaks {v.rule}" for v in violations)[:300]),
        retry_after_ms=wait_ms,
        facts={name: redact_text(str(found[name])) for name in _FACTS if name in found},
        fields=tuple(violation.field for violation in violations),
    )


def is_throttling(error: CallFailed) -> bool:
    """Return whether the store makes too many calls: 429, or a 403 with a time to come back."""
    says_when = error.retry_after_ms is not None and not isinstance(error, Unauthorized)
    return error.status == 429 or (error.status == 403 and says_when)


_CLASSES: Mapping[tuple[Kind, bool], type[CallFailed]] = MappingProxyType(
    {
        ("permanent", True): Permanent,
        ("permanent", False): Permanent,
        ("unauthorized", True): Unauthorized,
        ("unauthorized", False): Unauthorized,
        ("forbidden", True): Forbidden,
        ("forbidden", False): Forbidden,
        ("unclear", True): EffectUnknown,
        ("unclear", False): Retryable,
    }
)


def request_id(response: Answer) -> str | None:
    """Return Wix's id of a call, which its support asks for."""
    text = response.headers.get("x-wix-request-id")
    return redact_text(text[:100]) if text else None


class _Violation(NamedTuple):
    field: str
    rule: str


def _violations(details: Mapping[str, Any]) -> list[_Violation]:
    """Return field and rule of each validation error, never the value."""
    validation = details.get("validationError")
    listed = validation.get("fieldViolations") if isinstance(validation, dict) else None
    return [
        _Violation(redact_text(str(violation.get("field"))), str(violation.get("violatedRule")))
        for violation in (listed if isinstance(listed, list) else [])
        if isinstance(violation, dict)
    ]
