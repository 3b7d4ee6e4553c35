"""Finds out who sends a request: by the cookie of a session, or by what a trusted proxy says."""

from __future__ import annotations

import hmac
import secrets
import time
from collections.abc import Callable, Mapping

from starlette.requests import Request
from starlette.responses import Response

from config.access import ConsoleProxy, ConsoleUser
from worker.console.attempts import Attempts, address_of
from worker.console.forms import CSRF, Fields
from worker.console.refusals import Refusal
from worker.console.users import SESSION_S, Session, Sessions, users_by_hash, users_by_login
from worker.observability.events import log_event
from worker.serving.tokens import owner_of

#: The header with which the proxy proves that it is the proxy.
SECRET_HEADER = "x-refunds-proxy-secret"  # noqa: S105 - its name
COOKIE, ENTRY_COOKIE = "refunds_console", "refunds_console_entry"


class Door:
    """Lets users in."""

    def __init__(
        self,
        users: Mapping[str, ConsoleUser],
        proxy: ConsoleProxy | None,
        *,
        is_secure: bool,
        behind_proxy: bool,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._by_hash = users_by_hash(users)
        self._by_login = users_by_login(users)
        self._proxy = proxy
        self._is_secure = is_secure
        self._behind_proxy = behind_proxy
        self._sessions = Sessions(now_s)
        self._attempts = Attempts(now_s)
        self._entry_key = secrets.token_bytes(32)

    @property
    def takes_tokens(self) -> bool:
        """Whether users sign in here, and not at the proxy."""
        return self._proxy is None

    def session_of(self, request: Request) -> Session | None:
        """Return the session of who sends a request, None if nobody is signed in.

        Raises:
            Refusal: a proxy has to say who it is, and does not, or names nobody whom we know.
        """
        if self._proxy is None:
            return self._sessions.find(request.cookies.get(self._name(COOKIE), ""))
        given = request.headers.getlist(SECRET_HEADER)
        known = self._proxy.secret.get_secret_value()
        if len(given) != 1 or not hmac.compare_digest(given[0].encode(), known.encode()):
            raise Refusal(403, "The request did not come through the proxy that signs users in.")
        logins = request.headers.getlist(self._proxy.header)
        user = self._by_login.get(_text(logins[0])) if len(logins) == 1 else None
        if user is None:
            raise Refusal(403, "The proxy names nobody who may use the console.")
        return self._sessions.of_name(user)

    def entry(self) -> tuple[str, str]:
        """Return a cookie and a proof for the form in which somebody signs in.

        Without them another site could sign a browser in as somebody else.
        """
        cookie = secrets.token_urlsafe(16)
        return cookie, self._proof(cookie)

    def sign_in(self, request: Request, form: Fields) -> str:
        """Check a token; returns the value of the session's cookie.

        Raises:
            Refusal: it is wrong, or too many were.
        """
        address = address_of(request, behind_proxy=self._behind_proxy)
        entry = request.cookies.get(self._name(ENTRY_COOKIE), "")
        if not hmac.compare_digest(form.one(CSRF).encode(), self._proof(entry).encode()):
            raise Refusal(403, "This form is out of date: sign in again.")
        if wait_s := self._attempts.wait_s(address):
            text = f"Too many wrong tokens from your address: wait {wait_s} s."
            raise Refusal(429, text, {"Retry-After": str(wait_s)})
        user = owner_of(form.one("token"), self._by_hash)
        if user is None:
            self._attempts.note_failure(address)
            log_event("console.sign_in_refused", address=address)
            raise Refusal(403, "This token is not valid.")
        log_event("console.signed_in", user=user.name, role=user.role, address=address)
        return self._sessions.open(user)

    def sign_out(self, request: Request, response: Response) -> None:
        """End the session, and take its cookie back."""
        self._sessions.close(request.cookies.get(self._name(COOKIE), ""))
        self.set_cookie(response, COOKIE, "", 0)

    def set_cookie(self, response: Response, name: str, value: str, for_s: int = SESSION_S) -> None:
        """Give a cookie that no script can read and that no other site can make use of."""
        response.set_cookie(
            self._name(name),
            value,
            max_age=for_s,
            httponly=True,
            samesite="strict",
            secure=self._is_secure,
        )

    def _name(self, name: str) -> str:
        # Browsers take a cookie with this prefix only from this very host, by TLS.
        return f"__Host-{name}" if self._is_secure else name

    def _proof(self, cookie: str) -> str:
        return hmac.digest(self._entry_key, cookie.encode("utf-8", "replace"), "sha256").hex()


def _text(header: str) -> str:
    """Return a header that is in UTF-8, as proxies send names; ASGI servers read it as Latin-1."""
    try:
        return header.encode("latin-1").decode()
    except UnicodeDecodeError:
        return ""
