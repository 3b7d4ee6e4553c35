"""Who may use the console, and what somebody who is signed in carries along."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import get_args

from config.access import ConsoleUser, Role

#: From the least to the most; each may all that those before it may.
ROLES: tuple[Role, ...] = get_args(Role)
#: How long a session lasts, a working day.
SESSION_S = 8 * 3600
#: Sessions of one user at once; the oldest ends if there are more.
MOST_SESSIONS = 10


@dataclass(frozen=True)
class User:
    """A person, by the name that the audit log shows."""

    name: str
    role: Role
    login: str = ""
    """What a proxy calls this person, and maybe upstream, too; "" if it is the name."""

    def may(self, role: Role) -> bool:
        """Whether the user may do what needs this role."""
        return ROLES.index(self.role) >= ROLES.index(role)


@dataclass
class Session:
    """What is kept about somebody who is signed in, in this process only."""

    user: User
    ends_at_s: float
    csrf: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    """Every form holds it; another site cannot know it."""
    notes: list[str] = field(default_factory=list)
    """What an act has done, to be shown on the next page."""

    def take_notes(self) -> list[str]:
        """Return the notes that nobody has seen yet."""
        taken, self.notes = self.notes, []
        return taken


class Sessions:
    """The sessions, by the hash of a cookie. A restart ends them all."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self._open: dict[str, Session] = {}

    def open(self, user: User) -> str:
        """Open a session; returns the new value of the cookie."""
        self._drop_old(user)
        cookie = secrets.token_urlsafe(32)
        self._open[_key(cookie)] = self._new(user)
        return cookie

    def find(self, cookie: str) -> Session | None:
        """Return the session that a cookie belongs to, None if there is none."""
        session = self._open.get(_key(cookie))
        return session if session and session.ends_at_s > self._now_s() else None

    def close(self, cookie: str) -> None:
        """End a session."""
        self._open.pop(_key(cookie), None)

    def of_name(self, user: User) -> Session:
        """Return the session of somebody whom the proxy names with each request."""
        found = self._open.get(user.name)
        if found is None or found.ends_at_s <= self._now_s():
            found = self._open[user.name] = self._new(user)
        return found

    def _new(self, user: User) -> Session:
        return Session(user, self._now_s() + SESSION_S)

    def _drop_old(self, user: User) -> None:
        own = [key for key, session in self._open.items() if session.user.name == user.name]
        for key in own[: max(0, len(own) - MOST_SESSIONS + 1)]:
            del self._open[key]


def _key(cookie: str) -> str:
    # Not the cookie itself: a comparison of hashes says nothing about it by its time.
    return hashlib.sha256(cookie.encode("utf-8", "replace")).hexdigest()


def users_by_hash(given: Mapping[str, ConsoleUser]) -> list[tuple[str, User]]:
    """Return each known hash of a token, with its user."""
    return [
        (digest, _user(name, entry)) for name, entry in given.items() for digest in entry.sha256
    ]


def users_by_login(given: Mapping[str, ConsoleUser]) -> dict[str, User]:
    """Return the users by what a proxy calls them."""
    return {entry.login or name: _user(name, entry) for name, entry in given.items()}


def _user(name: str, entry: ConsoleUser) -> User:
    return User(name, entry.role, entry.login)
