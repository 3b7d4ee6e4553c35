"""What all calls to Wix have in common: headers, timeouts, errors."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from worker.errors import CallFailed, EffectUnknown, Retryable, Unreadable
from worker.wix.errors import error_from, parse_body, request_id

Model = TypeVar("Model", bound=BaseModel)

#: Maximum size of an answer; Wix's answers are far smaller.
MAX_BODY_BYTES = 5_000_000
#: Status of an answer to a store that makes too many calls.
TOO_MANY = 429
#: From this status on, Wix failed.
FAILURE = 500


#: What we send with each call beside the store's headers. httpx decodes both without more packages.
_SENT_ALWAYS: Mapping[str, str] = MappingProxyType(
    {
        "Accept-Encoding": "gzip, deflate",
        "Connection": "keep-alive",
        "User-Agent": f"python-httpx/{httpx.__version__}",
    }
)


class Channel(NamedTuple):
    """How calls get to Wix. It holds nothing of a call: no cookie, no key, no redirect."""

    transport: httpx.BaseTransport
    base_url: str
    timeouts_s: Mapping[str, float]
    """Limits of each wait, by httpx's names."""
    total_s: float
    """The total timeout of a call."""
    seen: Callable[[str, str, float], None] = lambda _endpoint, _result, _seconds: None
    """Told of each call: endpoint, HTTP status or type of the error, and duration."""


class Calls:
    """Calls with one API key to one site or one account: exactly one of the two id headers. W1.

    Each call raises Retryable, EffectUnknown, Permanent or Unauthorized (see `worker.errors`).
    """

    def __init__(
        self,
        channel: Channel,
        api_key: str,
        identity: Mapping[str, str],
        before_mutation: Callable[[], None],
    ) -> None:
        self._channel = channel
        self._headers = httpx.Headers(
            {
                "Host": httpx.URL(channel.base_url).netloc.decode(),
                **_SENT_ALWAYS,
                "Authorization": api_key,
                "Accept": "application/json",
                **identity,
            }
        )
        self._before_mutation = before_mutation
        self.calls = 0
        """Number of calls."""
        self.sent = 0
        """Number of mutating calls that were sent, whatever the answer."""
        self.accepted_endpoints: set[str] = set()
        """The endpoints that accepted the API key."""
        self.request_id: str | None = None
        """Wix's id of the last call."""
        self.outcome: Literal["", "answered", "failed"] = ""
        """Whether Wix answered the last call, whatever it said; not a gateway's 5xx."""
        self.throttled: CallFailed | None = None
        """The last answer that says that the store makes too many calls. W7."""
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
            error = error_from(endpoint, response, mutates=mutates)
            if response.status_code == TOO_MANY:
                self.throttled = error
            raise error
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
        unclear = EffectUnknown if mutates else Retryable
        self.calls += 1
        self.outcome = "failed"
        started, result = time.monotonic(), "bug"
        try:
            response = self._within_total(self._request(method, path, body))
            result = str(response.status_code)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            # Nothing was sent.
            result = type(error).__name__
            raise Retryable(endpoint, detail=result) from None
        except httpx.HTTPError as error:
            result = type(error).__name__
            self.sent += mutates
            raise unclear(endpoint, detail=result) from None
        finally:
            self._channel.seen(endpoint, result, time.monotonic() - started)
        self.sent += mutates
        if response.status_code < FAILURE:
            self.outcome = "answered"
        return response

    def _request(self, method: str, path: str, body: Mapping[str, Any] | None) -> httpx.Request:
        headers, content = self._headers.copy(), b""
        if self.consistent:
            headers["X-Wix-Consistent"] = self.consistent
        if body is not None:
            text = json.dumps(body, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
            content = text.encode()
            headers["Content-Length"] = str(len(content))
            headers["Content-Type"] = "application/json"
        return httpx.Request(
            method,
            self._channel.base_url + path,
            headers=headers,
            stream=httpx.ByteStream(content),
            extensions={"timeout": self._channel.timeouts_s, "total_s": self._channel.total_s},
        )

    def _within_total(self, request: httpx.Request) -> httpx.Response:
        """Read the answer, but not beyond the total timeout.

        The transport limits each wait (`worker.wix.deadline`). The check here is for a server that
        keeps sending, so that there is nothing to wait for.
        """
        until = time.monotonic() + self._channel.total_s
        response = self._channel.transport.handle_request(request)
        content = bytearray()
        try:
            for chunk in response.iter_bytes():
                content += chunk
                if time.monotonic() > until or len(content) > MAX_BODY_BYTES:
                    raise httpx.ReadTimeout("the answer took longer than the total timeout")
        finally:
            response.close()
        return httpx.Response(
            response.status_code,
            headers=[(k, v) for k, v in response.headers.items() if k in _KEPT_HEADERS],
            content=bytes(content),
        )


_KEPT_HEADERS = {"x-wix-request-id", "x-wix-consistent", "retry-after", "content-type"}


def _fields(error: ValidationError) -> str:
    places = (".".join(str(part) for part in problem["loc"]) for problem in error.errors())
    return ", ".join(sorted(set(places)))[:200]
