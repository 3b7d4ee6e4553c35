"""Errors as RFC 9457 problem details: one JSON document for each of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import Any

from starlette.responses import Response

_URN = "urn:wix-refund-worker:problem:"

#: The kinds of problems: the last part of `type`, and the status and the title of each.
KINDS: Mapping[str, tuple[int, str]] = MappingProxyType(
    {
        "malformed": (400, "The request cannot be read."),
        "unauthorized": (401, "A valid bearer token is required."),
        "store-not-allowed": (403, "This token may not refund for this store."),
        "producer-limit": (403, "This token may not refund this much."),
        "not-found": (404, "There is nothing here for this token."),
        "method-not-allowed": (405, "This address does not have this method."),
        "too-slow": (408, "The request took too long to arrive."),
        "conflict": (409, "There is another refund with this id."),
        "too-large": (413, "The request is too large."),
        "not-json": (415, "The body must be JSON."),
        "invalid": (422, "Some fields are invalid."),
        "internal": (500, "The server failed."),
        "unavailable": (503, "The ledger does not answer."),
    }
)


class Problem(Exception):
    """Ends a request with an error."""

    def __init__(
        self, kind: str, detail: str, *, headers: Mapping[str, str] | None = None, **more: Any
    ) -> None:
        self.status, title = KINDS[kind]
        self.headers = dict(headers or {})
        self.fields = {
            "type": _URN + kind,
            "title": title,
            "status": self.status,
            "detail": detail,
            **more,
        }
        super().__init__(detail)

    def response(self) -> Response:
        """Return the answer."""
        body = json.dumps(self.fields, ensure_ascii=False)
        return Response(
            body.encode("utf-8", "replace"),
            self.status,
            headers=self.headers,
            media_type="application/problem+json",
        )


def of_status(status: int, headers: Mapping[str, str] | None) -> Problem:
    """Return the problem of an error that the framework raised."""
    kinds = {code: kind for kind, (code, _) in KINDS.items()}
    known = status if status in kinds else 400 if status < 500 else 500
    return Problem(kinds[known], f"{HTTPStatus(status).phrase}.", headers=headers)
