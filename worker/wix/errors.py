"""One table from (status, code) to what it means for us. W4."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import MappingProxyType
from typing import Any, Literal

import httpx

from worker.errors import CallFailed, EffectUnknown, Permanent, Retryable, Unauthorized
from worker.observability.redaction import redact_text

Kind = Literal["permanent", "unauthorized", "unclear"]

#: By application code first ...
BY_CODE: Mapping[str, Kind] = MappingProxyType(
    {
        # An ecom call without a usable site or key answers 428, not 401. W6.
        "MISSING_METASITE_ID": "unauthorized",
        # 409s that say clearly that nothing was done. W44, W75.
        "TRACKING_NUMBER_ALREADY_EXISTS": "permanent",
        "PAYMENT_ALREADY_VOIDED": "permanent",
    }
)
#: ... then by status. "unclear": a read may be repeated, a mutation must be looked for first.
BY_STATUS: Mapping[int, Kind] = MappingProxyType(
    {
        400: "permanent",
        401: "unauthorized",
        403: "unauthorized",
        404: "permanent",
        408: "unclear",
        409: "unclear",
        425: "unclear",
        428: "permanent",
        429: "unclear",
        501: "permanent",
    }
)

#: No header is documented for 429; Wix says "wait a minute". W8.
RETRY_AFTER_CAP_MS = 3_600_000
#: Facts of an error's `data` that we repeat; everything else of a body stays out of our records.
_FACTS = ("paymentId", "nonRefundableReason", "lineItemId", "additionalFeeId")


def kind_of(status: int, code: str | None) -> Kind:
    """Read the tables; a status they do not know is permanent below 500 and unclear from there."""
    if by_code := BY_CODE.get(code or ""):
        return by_code
    return BY_STATUS.get(status, "unclear" if status >= 500 or status < 400 else "permanent")


def retry_after_ms(headers: httpx.Headers, now: datetime) -> int | None:
    """Milliseconds that `Retry-After` asks for (seconds or an HTTP date), at most an hour."""
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


def parse_body(response: httpx.Response) -> dict[str, Any] | None:
    """The body as a JSON object, None when it is anything else (HTML, empty, cut short)."""
    try:
        body = json.loads(response.content)
    except (ValueError, RecursionError):
        return None
    return body if isinstance(body, dict) else None


def error_from(endpoint: str, response: httpx.Response, *, mutates: bool) -> CallFailed:
    """Make the right error of an answer that is not 200."""
    body = parse_body(response) or {}
    # A 4xx that does not speak Wix's language may be a gateway's or a wrong address: not an answer.
    is_wix = "details" in body or "message" in body
    details = body.get("details")
    details = details if isinstance(details, dict) else {}
    application = details.get("applicationError")
    application = application if isinstance(application, dict) else {}
    code = str(application["code"])[:80] if application.get("code") else None
    found = application.get("data")
    found = found if isinstance(found, dict) else {}
    kind = kind_of(response.status_code, code)
    kind = "unclear" if kind == "permanent" and not is_wix else kind
    error = _CLASSES[kind, mutates]
    return error(
        endpoint,
        status=response.status_code,
        code=redact_text(code) if code else None,
        request_id=request_id(response),
        detail=_violations(details),
        retry_after_ms=retry_after_ms(response.headers, datetime.now(UTC)),
        facts={name: redact_text(str(found[name])) for name in _FACTS if name in found},
    )


_CLASSES: Mapping[tuple[Kind, bool], type[CallFailed]] = MappingProxyType(
    {
        ("permanent", True): Permanent,
        ("permanent", False): Permanent,
        ("unauthorized", True): Unauthorized,
        ("unauthorized", False): Unauthorized,
        ("unclear", True): EffectUnknown,
        ("unclear", False): Retryable,
    }
)


def request_id(response: httpx.Response) -> str | None:
    """Wix's id of a call, for its support."""
    text = response.headers.get("x-wix-request-id")
    return redact_text(text[:100]) if text else None


def _violations(details: Mapping[str, Any]) -> str:
    """Field and rule of what Wix calls a validation error; never the value."""
    validation = details.get("validationError")
    listed = validation.get("fieldViolations") if isinstance(validation, dict) else None
    texts = [
        f"{violation.get('field')} breaks {violation.get('violatedRule')}"
        for violation in (listed if isinstance(listed, list) else [])
        if isinstance(violation, dict)
    ]
    return redact_text(", ".join(texts)[:300])
