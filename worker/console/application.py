"""The ASGI application: how a request becomes a visit, and an error a page."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from worker.cells.names import cell_of
from worker.console.desk import Visit
from worker.console.desks import LOST, Desks, text_of
from worker.console.door import Door
from worker.console.entrance import Entrance, to_sign_in
from worker.console.files import send_file
from worker.console.forms import Fields, check_csrf, check_origin, fields_of, read_form
from worker.console.gate import Gate
from worker.console.live import Live
from worker.console.pages import NAVIGATION, PAGES, Page
from worker.console.refusals import Refusal
from worker.console.rendering import environment
from worker.observability.events import log_event

Endpoint = Callable[[Request], Awaitable[Response]]


class Console:
    """The pages, for those whom the door lets in."""

    def __init__(self, desks: Desks, door: Door) -> None:
        self._desks = desks
        self._door = door
        self.templates = environment()
        self.templates.globals["navigation"] = NAVIGATION
        self.templates.globals["cells"] = desks.cells
        self.templates.globals["cell_column"] = ["Cell"] if desks.cells else []
        given, shows_all = desks.first.settings, bool(desks.cells)
        only = cell_of(given.namespace) if given.cells > 1 and not shows_all else ""
        self.templates.globals["only_cell"] = only

    def endpoint(self, page: Page) -> Endpoint:
        """Return what answers requests for one page."""

        async def answer(request: Request) -> Response:
            request.scope["operation"] = page.run.__name__
            session = self._door.session_of(request)
            if session is None:
                return to_sign_in(request)
            request.scope["user"] = session.user.name
            form = Fields({})
            if page.method == "POST":
                check_origin(request)
                form = await read_form(request)
                check_csrf(form, session.csrf)
            if not session.user.may(page.role):
                raise Refusal(403, f"This needs the role “{page.role}”, which you do not have.")
            visit = Visit(
                session=session,
                path=page.path,
                query=fields_of(request.url.query),
                form=form,
                templates=self.templates,
                takes_tokens=self._door.takes_tokens,
                is_live="x-refunds-live" in request.headers,
            )
            return await run_in_threadpool(page.run, self._desks.for_visit(visit), visit)

        return answer

    def refuse(self, refusal: Refusal) -> Response:
        """Answer with a page that says what is wrong."""
        text = self.templates.get_template("refused.html").render(
            title="This was refused", refusal=refusal
        )
        return HTMLResponse(text, refusal.status, headers=refusal.headers)

    async def on_error(self, request: Request, error: Any) -> Response:
        """Answer an error that can be expected."""
        if isinstance(error, Refusal):
            return self.refuse(error)
        if isinstance(error, HTTPException):
            what = "does not exist" if error.status_code == 404 else "cannot be asked for like this"
            return self.refuse(Refusal(error.status_code, f"This page {what}.", error.headers))
        text = text_of(error, is_act=request.method == "POST")
        log_event("console.redis_lost", error=text)
        return self.refuse(Refusal(503, text, {"Retry-After": "5"}))


def application(
    desks: Desks, door: Door, *, has_tls: bool, is_stopping: Callable[[], bool]
) -> Starlette:
    """Return the application."""
    console = Console(desks, door)
    entrance = Entrance(door, console.templates)
    live = Live(door, lambda: _look(desks), is_stopping)
    routes = [
        *(Route(page.path, console.endpoint(page), methods=[page.method]) for page in PAGES),
        Route("/sign-in", entrance.show, methods=["GET"]),
        Route("/sign-in", entrance.sign_in, methods=["POST"]),
        Route("/sign-out", entrance.sign_out, methods=["POST"]),
        Route("/live", live.stream, methods=["GET"]),
        Route("/static/{name}", send_file, methods=["GET"]),
    ]
    expected = (Refusal, HTTPException, *LOST)
    app = Starlette(
        routes=routes,
        middleware=[Middleware(Gate, has_tls=has_tls, refuse=console.refuse)],
        exception_handlers=dict.fromkeys(expected, console.on_error),
    )
    # An address with a slash too many is unknown; nobody is sent elsewhere.
    app.router.redirect_slashes = False
    return app


def _look(desks: Desks) -> dict[str, Any]:
    """Return what the live pages follow: the status, and how many acts there were."""
    acts = desks.each(lambda desk: desk.ledger.audit_log.count())
    return {**desks.read_status(1), "acts": sum(acts.values())}
