"""Sign in and sign out: the only pages for those who are not signed in."""

from __future__ import annotations

from urllib.parse import quote

from jinja2 import Environment
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from worker.console.door import COOKIE, ENTRY_COOKIE, Door
from worker.console.forms import check_csrf, check_origin, fields_of, local_address, read_form
from worker.console.refusals import Refusal

SIGN_IN = "/sign-in"


class Entrance:
    """The pages of the door."""

    def __init__(self, door: Door, templates: Environment) -> None:
        self._door = door
        self._templates = templates

    async def show(self, request: Request) -> Response:
        """Ask for a token."""
        request.scope["operation"] = "show_sign_in"
        return self._form(local_address(fields_of(request.url.query).one("next", "/")))

    async def sign_in(self, request: Request) -> Response:
        """Check a token, and go to the page that was asked for at first."""
        request.scope["operation"] = "sign_in"
        check_origin(request)
        form = await read_form(request)
        after = local_address(form.one("next", "/"))
        if not self._door.takes_tokens:
            raise Refusal(404, "The proxy in front of the console signs users in.")
        try:
            cookie = await run_in_threadpool(self._door.sign_in, request, form)
        except Refusal as refusal:
            return self._form(after, refusal)
        response = RedirectResponse(after, 303)
        self._door.set_cookie(response, COOKIE, cookie)
        self._door.set_cookie(response, ENTRY_COOKIE, "", 0)
        return response

    async def sign_out(self, request: Request) -> Response:
        """End the session."""
        request.scope["operation"] = "sign_out"
        check_origin(request)
        form = await read_form(request)
        if session := self._door.session_of(request):
            check_csrf(form, session.csrf)
        response = RedirectResponse(SIGN_IN, 303)
        self._door.sign_out(request, response)
        return response

    def _form(self, after: str, refusal: Refusal | None = None) -> Response:
        if not self._door.takes_tokens:
            raise Refusal(404, "The proxy in front of the console signs users in.")
        cookie, proof = self._door.entry()
        text = self._templates.get_template("sign_in.html").render(
            title="Sign in", after=after, proof=proof, problem=refusal.text if refusal else ""
        )
        status, headers = (refusal.status, refusal.headers) if refusal else (200, {})
        response = HTMLResponse(text, status, headers=headers)
        self._door.set_cookie(response, ENTRY_COOKIE, cookie)
        return response


def to_sign_in(request: Request) -> Response:
    """Send somebody who is not signed in to the form, and from there back to a page.

    Raises:
        Refusal: it was a form; what it says is lost.
    """
    if request.method == "POST":
        raise Refusal(403, "Your session has ended, and nothing was done: sign in again.")
    query = f"?{request.url.query}" if request.url.query else ""
    after = local_address(request.url.path + query)
    return RedirectResponse(f"{SIGN_IN}?next={quote(after, safe='/')}", 303)
