"""HTTP: routes, keys, error bodies and faults around the rules. One WSGI callable."""

from __future__ import annotations

import json
import re
import time
import uuid
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any

from worker.simulator.admin import administer
from worker.simulator.faults import ConnectionDropped, Fault
from worker.simulator.orders import Json
from worker.simulator.rules import Refusal
from worker.simulator.simulator import Simulator

_ID = r"(?P<{}>[^/]{{1,100}})"
_ORDER, _FULFILLMENT = _ID.format("order_id"), _ID.format("fulfillment_id")
#: Verb, path, endpoint. Source: wix-api.md 2 [D].
ROUTES: tuple[tuple[str, re.Pattern[str], str], ...] = tuple(
    (verb, re.compile(path), endpoint)
    for verb, path, endpoint in (
        ("GET", f"/ecom/v1/orders/{_ORDER}", "get_order"),
        ("POST", f"/ecom/v1/orders/{_ORDER}/cancel", "cancel_order"),
        ("GET", f"/ecom/v1/fulfillments/orders/{_ORDER}", "list_fulfillments"),
        ("DELETE", f"/ecom/v1/fulfillments/{_FULFILLMENT}/orders/{_ORDER}", "delete_fulfillment"),
        ("POST", "/ecom/v1/order-billing/get-order-refundability", "get_order_refundability"),
        ("POST", "/ecom/v1/order-billing/refund-payments", "submit_refund"),
        ("GET", f"/ecom/v1/payments/orders/{_ORDER}", "list_transactions"),
    )
)

Environ = dict[str, Any]
StartResponse = Callable[..., Any]


def wsgi(simulator: Simulator) -> Callable[[Environ, StartResponse], Iterable[bytes]]:
    """The application: for `serve`, and for `httpx.WSGITransport` in tests."""

    def application(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        length = int(environ.get("CONTENT_LENGTH") or 0)
        raw = environ["wsgi.input"].read(length) if length else b""
        status: int
        body: Json | bytes
        headers: list[tuple[str, str]] = []
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
                ("x-wix-request-id", str(uuid.uuid4())),
                *headers,
            ],
        )
        return [content]

    return application


def _wix(
    simulator: Simulator, environ: Environ, raw: bytes
) -> tuple[int, Json | bytes, list[tuple[str, str]]]:
    verb, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
    matches = ((v, pattern.fullmatch(path), name) for v, pattern, name in ROUTES)
    found = next(((m, name) for v, m, name in matches if v == verb and m), None)
    if found is None:
        with simulator.lock:
            simulator.unlisted.append(f"{verb} {path}")
        return 404, _error(404, "", {}), []
    match, endpoint = found
    try:
        body = json.loads(raw) if raw else {}
    except ValueError:
        return 400, _error(400, "", {}), []
    ids = match.groupdict()
    order_id = str(ids.get("order_id") or body.get("orderId") or "")
    fault = simulator.take_fault(endpoint, order_id)
    try:
        status, answer = _faulty(simulator, environ, endpoint, order_id, body, ids, fault)
    except ConnectionDropped:
        simulator.note_call(endpoint, order_id, 0)
        raise
    simulator.note_call(endpoint, order_id, status)
    headers = [("X-Wix-Consistent", "consistent")] if simulator.flags.consistent_token else []
    if fault and fault.retry_after_s is not None:
        headers.append(("Retry-After", str(fault.retry_after_s)))
    return status, answer, headers


def _faulty(
    simulator: Simulator,
    environ: Environ,
    endpoint: str,
    order_id: str,
    body: Json,
    ids: dict[str, str],
    fault: Fault | None,
) -> tuple[int, Json | bytes]:
    """Do the call, unless a fault says otherwise; answer, unless a fault says otherwise."""
    if fault and fault.kind == "drop":
        raise ConnectionDropped
    if fault and fault.kind == "slow":
        time.sleep(fault.slow_ms / 1000)
    if fault and fault.kind == "status":
        return fault.effective_status, _error(fault.effective_status, fault.code, {})
    if fault and fault.kind == "not_wix":
        return fault.effective_status, b"<html><body>Not here</body></html>"
    status, answer = _by_rule(simulator, environ, endpoint, order_id, body, ids)
    if fault and fault.kind == "drop_after":
        raise ConnectionDropped
    if fault and fault.kind == "lost_reply":
        return fault.effective_status, _error(fault.effective_status, "", {})
    if fault and fault.kind == "garbage":
        return 200, b"<html><body>Sorry</body></html>"
    if fault and fault.kind == "empty":
        return 200, b""
    return status, answer


def _by_rule(
    simulator: Simulator,
    environ: Environ,
    endpoint: str,
    order_id: str,
    body: Json,
    ids: dict[str, str],
) -> tuple[int, Json]:
    try:
        _check_key(simulator, environ, order_id)
        consistent = bool(environ.get("HTTP_X_WIX_CONSISTENT"))
        fulfillment_id = ids.get("fulfillment_id", "")
        return 200, simulator.answer(
            endpoint, order_id, body, fulfillment_id, consistent=consistent
        )
    except Refusal as refusal:
        return refusal.status, _error(refusal.status, refusal.code, refusal.data)


def _check_key(simulator: Simulator, environ: Environ, order_id: str) -> None:
    """Who may call. Source: wix-api.md 6.7 auth [D/O/I]."""
    site_id, key = environ.get("HTTP_WIX_SITE_ID"), environ.get("HTTP_AUTHORIZATION")
    if not site_id or not key:
        raise Refusal(428, "MISSING_METASITE_ID")
    if key not in simulator.stores.values():
        raise Refusal(401)
    if simulator.stores.get(site_id) != key:
        raise Refusal(403)
    order = simulator.orders.get(order_id)
    if order is not None and order.site_id != site_id:
        raise Refusal(404, "ORDER_NOT_FOUND")


def _error(status: int, code: str, found: Json) -> Json:
    """An error body. 5xx are empty by design. Source: wix-api.md 4.1 [D]."""
    if status >= 500 or not code:
        return {"message": "", "details": {}}
    inner = {"code": code, "description": "", "data": found}
    return {"message": code, "details": {"applicationError": inner}}
