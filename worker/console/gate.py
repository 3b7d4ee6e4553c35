"""What every answer goes through: its headers, one log line, a page even if we have a bug."""

from __future__ import annotations

import time
from collections.abc import Callable

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from worker.console.refusals import Refusal
from worker.observability.events import log_event
from worker.observability.foreign import stack_of, type_and_place

#: Nothing comes from elsewhere or goes there, and no script or style stands in a page.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self';"
    " form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = (
    ("content-security-policy", POLICY),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("permissions-policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
    ("cache-control", "no-store"),
)
#: For those who came by TLS: a browser does not come back without it.
TLS_ONLY = ("strict-transport-security", "max-age=31536000")


class Gate:
    """An ASGI middleware."""

    def __init__(
        self, app: ASGIApp, *, has_tls: bool, refuse: Callable[[Refusal], Response]
    ) -> None:
        self._app = app
        self._refuse = refuse
        headers = (*HEADERS, TLS_ONLY) if has_tls else HEADERS
        self._headers = [(name.encode(), value.encode()) for name, value in headers]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        started, status = time.monotonic(), 0

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), *self._headers]
            await send(message)

        try:
            await self._app(scope, receive, noted)
        except Exception as bug:  # noqa: BLE001 - its text and its traceback may hold a secret
            log_event("console.bug", error=type_and_place(bug), stack=stack_of(bug))
            if not status:
                page = self._refuse(Refusal(500, "The console failed; its log says where."))
                await page(scope, receive, noted)
        log_event(
            "console.request",
            method=scope["method"][:10],
            operation=scope.get("operation"),
            user=scope.get("user"),
            http_status=status,
            duration_ms=round((time.monotonic() - started) * 1000),
        )
