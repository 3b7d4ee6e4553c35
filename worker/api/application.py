"""The ASGI application: which address does what, and what every request goes through."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any

import redis
from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from worker.api.bodies import read_object
from worker.api.openapi import document
from worker.api.outcomes import Tail
from worker.api.parameters import read_parameters
from worker.api.problems import Problem, of_status
from worker.api.refunds import Refunds
from worker.errors import OtherLedger
from worker.observability.events import log_event
from worker.observability.foreign import stack_of, type_and_place
from worker.queue.server_errors import explain
from worker.serving.tokens import Caller, Tokens

#: The one address that needs no token.
OPENAPI = "/openapi.json"
#: What each answer says: nobody keeps it, and no browser guesses what it is.
_ALWAYS = ((b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff"))


class Api:
    """What the addresses do."""

    def __init__(self, refunds: Refunds, tail: Tail, is_stopping: Callable[[], bool]) -> None:
        self._refunds = refunds
        self._tail = tail
        self._is_stopping = is_stopping

    async def refunds(self, request: Request) -> Response:
        """Take a job, or show the refunds of an order."""
        is_job = request.method == "POST"
        return await (self._request_refund if is_job else self._list_refunds)(request)

    async def _request_refund(self, request: Request) -> Response:
        read_parameters(request, ())
        job = await read_object(request)
        key = request.headers.get("idempotency-key")
        is_new, view = await run_in_threadpool(self._refunds.ask, _caller(request), key, job)
        where = {"Location": f"/v1/refunds/{view.refund_id}"}
        return _json(view, 202 if is_new else 200, headers=where)

    async def show_refund(self, request: Request) -> Response:
        """Show one refund."""
        read_parameters(request, ())
        refund_id = request.path_params["refund_id"]
        return _json(await run_in_threadpool(self._refunds.find, _caller(request), refund_id))

    async def _list_refunds(self, request: Request) -> Response:
        order_id = read_parameters(request, ("order_id",))["order_id"]
        return _json(await run_in_threadpool(self._refunds.of_order, _caller(request), order_id))

    async def read_outcomes(self, request: Request) -> Response:
        """Return the next outcomes, and wait for them."""
        given = read_parameters(request, ("after", "limit", "wait_s"))
        page = await self._tail.wait_for_page(
            _caller(request),
            given["after"],
            int(given["limit"]),
            int(given["wait_s"]),
            self._is_stopping,
        )
        return JSONResponse(page)

    async def describe(self, _: Request) -> Response:
        """Return the OpenAPI document."""
        return JSONResponse(document())


def application(api: Api, tokens: Tokens) -> Starlette:
    """Return the application."""
    return Starlette(
        routes=[
            Route("/v1/refunds", api.refunds, methods=["GET", "POST"]),
            Route("/v1/refunds/{refund_id}", api.show_refund, methods=["GET"]),
            Route("/v1/outcomes", api.read_outcomes, methods=["GET"]),
            Route(OPENAPI, api.describe, methods=["GET"]),
        ],
        middleware=[Middleware(Gate, tokens=tokens)],
        exception_handlers={
            Problem: _on_problem,
            HTTPException: _on_http_exception,
            redis.RedisError: _on_redis_error,
            OtherLedger: _on_other_ledger,
        },
    )


class Gate:
    """What every request goes through: its token, one log line, an answer in any case."""

    def __init__(self, app: ASGIApp, tokens: Tokens) -> None:
        self._app = app
        self._tokens = tokens

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request in, or answer 401."""
        request, started, answer = Request(scope), time.monotonic(), {"status": 0}
        caller = self._tokens.caller(request.headers.get("authorization"))
        scope["caller"] = caller

        async def noted(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer["status"] = message["status"]
                message["headers"] = [*message.get("headers", ()), *_ALWAYS]
            await send(message)

        if caller is None and scope["path"] != OPENAPI:
            await _unauthorized().response()(scope, receive, noted)
        else:
            await self._run(scope, receive, noted, answer)
        log_event(
            "api.request",
            method=request.method[:10],
            operation=getattr(scope.get("endpoint"), "__name__", None),
            producer=caller.name if caller else None,
            http_status=answer["status"],
            duration_ms=round((time.monotonic() - started) * 1000),
        )

    async def _run(
        self,
        scope: Scope,
        receive: Receive,
        send: Callable[[Message], Awaitable[None]],
        answer: dict[str, int],
    ) -> None:
        try:
            await self._app(scope, receive, send)
        except Exception as bug:  # noqa: BLE001 - its text and its traceback may hold a secret
            log_event("api.bug", error=type_and_place(bug), stack=stack_of(bug))
            if not answer["status"]:
                problem = Problem("internal", "The server failed; its log says where.")
                await problem.response()(scope, receive, send)


def _caller(request: Request) -> Caller:
    caller: Caller = request.scope["caller"]
    return caller


def _unauthorized() -> Problem:
    return Problem(
        "unauthorized",
        "Send Authorization: Bearer TOKEN, with a token that `refunds api token` has made.",
        headers={"WWW-Authenticate": "Bearer"},
    )


def _json(view: BaseModel, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return JSONResponse(view.model_dump(mode="json"), status, headers=headers)


def _on_problem(_: Request, error: Any) -> Response:
    response: Response = error.response()
    return response


def _on_http_exception(_: Request, error: Any) -> Response:
    return of_status(error.status_code, error.headers).response()


def _on_redis_error(_: Request, error: Any) -> Response:
    log_event("api.redis_lost", error=explain(error))
    text = "Redis does not answer, and it is not known whether the job arrived: send it again."
    return Problem("unavailable", text, headers={"Retry-After": "5"}).response()


def _on_other_ledger(_: Request, error: Any) -> Response:
    log_event("api.redis_lost", error=str(error))
    text = "The ledger was emptied or replaced; an operator must look at it."
    return Problem("unavailable", text, headers={"Retry-After": "60"}).response()
