"""What all calls to Wix have in common: headers, timeouts, errors."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple, TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from worker.errors import CallFailed, EffectUnknown, Retryable, Unreadable
from worker.observability.tracing import WixCall
from worker.wix.errors import error_from, is_throttling, parse_body, request_id
from worker.wix.exchange import Answer, Asked, Exchange, Place

Model = TypeVar("Model", bound=BaseModel)

#: From this status on, Wix failed.
FAILURE = 500


#: What we send with each call beside the store's headers. httpx decodes both without more packages.
_SENT_ALWAYS: tuple[tuple[bytes, bytes], ...] = (
    (b"Accept-Encoding", b"gzip, deflate"),
    (b"Connection", b"keep-alive"),
    (b"User-Agent", f"python-httpx/{httpx.__version__}".encode()),
)
_JSON = (b"Content-Type", b"application/json")
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)


class Channel(NamedTuple):
    """How calls get to Wix. It holds nothing of a call: no cookie, no key, no redirect."""

    ways: Exchange
    place: Place
    seen: Callable[[WixCall], None] = lambda _call: None
    """Told of each call that has ended."""


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
        self._headers = (
            (b"Host", channel.place.host),
            *_SENT_ALWAYS,
            (b"Authorization", api_key.encode("ascii")),
            (b"Accept", b"application/json"),
            *((name.encode(), text.encode("ascii")) for name, text in identity.items()),
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
        self.may_call = True
        """Whether it makes calls at all."""
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
        if not self.may_call:
            raise AssertionError("this client makes no call")
        if mutates:
            self._before_mutation()
        response = self._send(endpoint, method, path, body, mutates=mutates)
        self.consistent = response.headers.get("x-wix-consistent") or self.consistent
        if response.status_code != 200:
            error = error_from(endpoint, response, mutates=mutates)
            if is_throttling(error):
                self.throttled = error
            raise error
        found = self._read(endpoint, response, model, mutates=mutates)
        self.accepted_endpoints.add(endpoint)
        return found

    def _read(self, endpoint: str, response: Answer, model: type[Model], *, mutates: bool) -> Model:
        try:
            return model.model_validate_json(response.content)
        except ValidationError:
            return self._read_again(endpoint, response, model, mutates=mutates)

    def _read_again(
        self, endpoint: str, response: Answer, model: type[Model], *, mutates: bool
    ) -> Model:
        """Parse first what pydantic could not read in one go, which is faster."""
        answer = parse_body(response)
        try:
            return model.model_validate(answer)
        except ValidationError as error:
            problem = "no JSON object" if answer is None else _fields(error)
            unclear = EffectUnknown if mutates else Retryable
            unreadable = Unreadable if answer is not None and not mutates else unclear
            raise unreadable(
                endpoint,
                status=200,
                request_id=self.request_id,
                detail=f"the answer does not match the documentation: {problem}",
            ) from None

    def _send(
        self,
        endpoint: str,
        method: str,
        path: str,
        body: Mapping[str, Any] | None,
        *,
        mutates: bool,
    ) -> Answer:
        unclear = EffectUnknown if mutates else Retryable
        self.calls += 1
        self.outcome = "failed"
        started, result, wix_id = time.monotonic(), "bug", None
        try:
            response = self._channel.ways.exchange(
                self._request(method, path, body), self._channel.place
            )
            result, wix_id = str(response.status_code), request_id(response)
            self.request_id = wix_id
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            # Nothing was sent.
            result = type(error).__name__
            raise Retryable(endpoint, detail=result) from None
        except httpx.HTTPError as error:
            result = type(error).__name__
            self.sent += mutates
            raise unclear(endpoint, detail=result) from None
        finally:
            url, took_s = self._channel.place.base_url + path, time.monotonic() - started
            self._channel.seen(WixCall(endpoint, method, url, result, took_s, wix_id))
        self.sent += mutates
        if response.status_code < FAILURE:
            self.outcome = "answered"
        return response

    def _request(self, method: str, path: str, body: Mapping[str, Any] | None) -> Asked:
        headers, content = self._headers, b""
        if self.consistent:
            headers = (*headers, (b"X-Wix-Consistent", self.consistent.encode()))
        if body is not None:
            content = _ENCODER.encode(body).encode()
            headers = (*headers, (b"Content-Length", b"%d" % len(content)), _JSON)
        return Asked(method, path, headers, content)


def _fields(error: ValidationError) -> str:
    places = (".".join(str(part) for part in problem["loc"]) for problem in error.errors())
    return ", ".join(sorted(set(places)))[:200]
