"""The WSGI application: checks the key and the request, applies faults, and asks the rules."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Any, NamedTuple
from urllib.parse import parse_qs

from worker.simulator.contract.refusals import Json, Refusal, refused
from worker.simulator.contract.requests import BODIES, PATH_IDS
from worker.simulator.contract.routes import Route, find
from worker.simulator.http.admin import administer
from worker.simulator.rules.access import site_of, sites_of
from worker.simulator.rules.table import RULES
from worker.simulator.script.faults import ConnectionDropped, Fault
from worker.simulator.simulator import Simulator
from worker.simulator.world.payments import new_id

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
#: The status, and the body: bytes as they are, anything else as JSON.
Answer = tuple[int, Any]


class Request(NamedTuple):
    """A request to a known endpoint."""

    route: Route
    ids: Mapping[str, str]
    body: Json
    query: Mapping[str, list[str]]
    api_key: str
    site_id: str
    account_id: str
    consistent: bool

    @property
    def order_id(self) -> str:
        """The id of the order that the request is about; empty if it is about none or several."""
        return str(self.ids.get("order_id") or self.body.get("orderId") or "")


def wsgi(simulator: Simulator) -> Callable[[Environ, StartResponse], Iterable[bytes]]:
    """Return the application, for `serve`, or for `httpx.WSGITransport` in tests."""

    def application(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        length = int(environ.get("CONTENT_LENGTH") or 0)
        raw = environ["wsgi.input"].read(length) if length else b""
        headers: list[tuple[str, str]] = []
        status: int
        body: Any
        if environ["PATH_INFO"].startswith("/_simulator/"):
            status, body = administer(simulator, environ, raw)
        else:
            status, body, headers = _wix(simulator, environ, raw)
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        start_response(
            f"{status} {HTTPStatus(status).phrase}",
            [
                ("Content-Type", "text/html" if isinstance(body, bytes) else "application/json"),
                ("Content-Length", str(len(content))),
                ("x-wix-request-id", new_id()),
                *headers,
            ],
        )
        return [content]

    return application


def _path(sent: str) -> str:
    """Decode the path: PEP 3333 has bytes as latin-1, but `httpx.WSGITransport` passes text."""
    try:
        return sent.encode("latin-1").decode()
    except UnicodeError:
        return sent


def _wix(
    simulator: Simulator, environ: Environ, raw: bytes
) -> tuple[int, Any, list[tuple[str, str]]]:
    path = _path(environ["PATH_INFO"])
    found = find(environ["REQUEST_METHOD"], path)
    if found is None:
        with simulator.lock:
            simulator.unlisted.append(f"{environ['REQUEST_METHOD']} {path}")
        return 404, refused(404, "", {}), []
    try:
        body = json.loads(raw) if raw else {}
    except ValueError:
        return 400, refused(400, "", {}), []
    request = Request(
        *found,
        body if isinstance(body, dict) else {"": body},
        parse_qs(environ.get("QUERY_STRING", "")),
        environ.get("HTTP_AUTHORIZATION", ""),
        environ.get("HTTP_WIX_SITE_ID", ""),
        environ.get("HTTP_WIX_ACCOUNT_ID", ""),
        bool(environ.get("HTTP_X_WIX_CONSISTENT")),
    )
    endpoint = request.route.endpoint
    fault = _fault_of(simulator, request)
    try:
        status, answer = _faulty(simulator, request, fault)
    except ConnectionDropped:
        simulator.note_call(endpoint, request.order_id, 0, request.site_id)
        raise
    simulator.note_call(endpoint, request.order_id, status, request.site_id)
    headers = [("x-wix-responded-by", f"simulator:{endpoint}")]
    if simulator.flags.consistent_token:
        headers.append(("X-Wix-Consistent", "consistent"))
    wait_s = fault.retry_after_s if fault else None
    if wait_s is None and status == 429:
        wait_s = simulator.flags.throttled_s
    if wait_s is not None:
        headers.append(("Retry-After", str(wait_s)))
    return status, answer, headers


def _fault_of(simulator: Simulator, request: Request) -> Fault | None:
    """Return the fault of a call, which may be that its site makes too many."""
    if not simulator.has_quota(request.site_id):
        return Fault("status", status=429)
    return simulator.take_fault(request.route.endpoint, request.order_id)


def _refused(fault: Fault) -> Answer:
    return fault.effective_status, refused(fault.effective_status, fault.code, fault.data)


def _page(fault: Fault) -> Answer:
    return fault.effective_status, b"<html><body>Not here</body></html>"


#: The answer instead of carrying out the call, by the kind of fault.
_INSTEAD: Mapping[str, Callable[[Fault], Answer]] = {
    "status": _refused,
    "not_wix": _page,
    "throttled_403": lambda fault: _page(fault) if fault.html else _refused(fault),
}
#: The answer after carrying out the call, by the kind of fault.
_AFTERWARDS: Mapping[str, Callable[[Fault], Answer]] = {
    "lost_reply": lambda fault: (fault.effective_status, refused(fault.effective_status, "", {})),
    "garbage": lambda _: (200, b"<html><body>Sorry</body></html>"),
    "empty": lambda _: (200, b""),
    "odd": lambda fault: (200, fault.body),
}


def _faulty(simulator: Simulator, request: Request, fault: Fault | None) -> Answer:
    """Carry out the call and answer it, except where the fault changes that."""
    if fault is None:
        return _by_rule(simulator, request)
    if fault.kind == "drop":
        raise ConnectionDropped
    if fault.kind == "slow":
        time.sleep(fault.slow_ms / 1000)
    if instead := _INSTEAD.get(fault.kind):
        return instead(fault)
    answer = _by_rule(simulator, request)
    if fault.kind == "drop_after":
        raise ConnectionDropped
    afterwards = _AFTERWARDS.get(fault.kind)
    return afterwards(fault) if afterwards else answer


def _by_rule(simulator: Simulator, request: Request) -> Answer:
    try:
        return 200, _answer(simulator, request)
    except Refusal as refusal:
        return refusal.status, refusal.body()


def _answer(simulator: Simulator, request: Request) -> Json:
    """Check the key, then the shape of the request, then apply the rule."""
    route, who = request.route, (request.api_key, request.site_id, request.account_id)
    store, sites = None, []
    with simulator.lock:
        if route.is_account:
            sites = sites_of(simulator, route, *who)
        else:
            store = site_of(simulator, route, *who)
    _check_shape(simulator, request)
    if route.endpoint not in RULES:
        return simulator.answer_wide(route.endpoint, request.body, request.query, store, sites)
    return simulator.answer(
        route.endpoint,
        request.order_id,
        request.body,
        request.ids.get("fulfillment_id", ""),
        consistent=request.consistent,
        site_id=store.site_id if store else None,
        payment_id=request.ids.get("payment_id", ""),
    )


def _check_shape(simulator: Simulator, request: Request) -> None:
    strict = simulator.flags.unknown_fields == "400"
    violations = [
        problem
        for name, value in request.ids.items()
        for problem in PATH_IDS[name].check(value, name, strict=strict)
    ]
    if shape := BODIES.get(request.route.endpoint):
        violations += shape.check(request.body, "", strict=strict)
    if violations:
        raise Refusal(400, violations=violations)
