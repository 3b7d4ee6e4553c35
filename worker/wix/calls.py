"""What all calls to Wix have in common: headers, timeouts, errors."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from worker.errors import EffectUnknown, Retryable, Unreadable
from worker.wix.errors import error_from, parse_body, request_id

Model = TypeVar("Model", bound=BaseModel)

#: Maximum size of an answer; Wix's answers are far smaller.
MAX_BODY_BYTES = 5_000_000


class Calls:
    """Calls with one API key to one site or one account: exactly one of the two id headers. W1.

    Each call raises Retryable, EffectUnknown, Permanent or Unauthorized (see `worker.errors`).
    """

    def __init__(
        self,
        client: httpx.Client,
        total_s: float,
        api_key: str,
        identity: Mapping[str, str],
        before_mutation: Callable[[], None],
    ) -> None:
        self._client = client
        self._total_s = total_s
        self._headers = {"Authorization": api_key, "Accept": "application/json", **identity}
        self._before_mutation = before_mutation
        self.calls = 0
        """Number of calls."""
        self.sent = 0
        """Number of mutating calls that were sent, whatever the answer."""
        self.accepted_endpoints: set[str] = set()
        """The endpoints that accepted the API key."""
        self.request_id: str | None = None
        """Wix's id of the last call."""
        self.consistent = ""
        """Token of the last answer, sent with the next call. W2."""

    def _call(
        self,
        endpoint: str,
        method: str,
        path: str,
        model: type[Model],
        body: Mapping[str, Any] | None = None,
        *,
        mutates: bool = False,
    ) -> Model:
        if mutates:
            self._before_mutation()
        unclear = EffectUnknown if mutates else Retryable
        response = self._send(endpoint, method, path, body, mutates=mutates)
        self.request_id = request_id(response)
        self.consistent = response.headers.get("x-wix-consistent") or self.consistent
        if response.status_code != 200:
            raise error_from(endpoint, response, mutates=mutates)
        answer = parse_body(response)
        try:
            found = model.model_validate(answer)
        except ValidationError as error:
            problem = "no JSON object" if answer is None else _fields(error)
            unreadable = Unreadable if answer is not None and not mutates else unclear
            raise unreadable(
                endpoint,
                status=200,
                request_id=self.request_id,
                detail=f"the answer does not match the documentation: {problem}",
            ) from None
        self.accepted_endpoints.add(endpoint)
        return found

    def _send(
        self,
        endpoint: str,
        method: str,
        path: str,
        body: Mapping[str, Any] | None,
        *,
        mutates: bool,
    ) -> httpx.Response:
        headers = dict(self._headers)
        if self.consistent:
            headers["X-Wix-Consistent"] = self.consistent
        unclear = EffectUnknown if mutates else Retryable
        self.calls += 1
        try:
            response = self._within_total(method, path, body, headers)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            # Nothing was sent.
            raise Retryable(endpoint, detail=type(error).__name__) from None
        except httpx.HTTPError as error:
            self.sent += mutates
            raise unclear(endpoint, detail=type(error).__name__) from None
        self.sent += mutates
        return response

    def _within_total(
        self, method: str, path: str, body: Mapping[str, Any] | None, headers: Mapping[str, str]
    ) -> httpx.Response:
        """Read the answer, but not beyond the total timeout.

        The transport limits each wait (`worker.wix.deadline`). The check here is for a server that
        keeps sending, so that there is nothing to wait for.
        """
        until = time.monotonic() + self._total_s
        total = {"total_s": self._total_s}
        with self._client.stream(
            method, path, json=body, headers=headers, extensions=total
        ) as response:
            content = bytearray()
            for chunk in response.iter_bytes():
                content += chunk
                if time.monotonic() > until or len(content) > MAX_BODY_BYTES:
                    raise httpx.ReadTimeout("the answer took longer than the total timeout")
        return httpx.Response(
            response.status_code,
            headers=[(k, v) for k, v in response.headers.items() if k in _KEPT_HEADERS],
            content=bytes(content),
        )


_KEPT_HEADERS = {"x-wix-request-id", "x-wix-consistent", "retry-after", "content-type"}


def _fields(error: ValidationError) -> str:
    places = (".".join(str(part) for part in problem["loc"]) for problem in error.errors())
    return ", ".join(sorted(set(places)))[:200]
