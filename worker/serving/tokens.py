"""Bearer tokens. The settings hold their hashes only, so that reading them lets nobody in."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from config.access import ALL_STORES, ApiProducer

#: Makes a token recognizable, for people and for scanners that look for leaked secrets.
PREFIX = "rfd_"
#: A longer one is none of ours, and is not hashed.
LONGEST = 200

Owner = TypeVar("Owner")


def new_token() -> str:
    """Return a new token: 256 random bits, which is why a fast hash protects it."""
    return PREFIX + secrets.token_urlsafe(32)


def hash_of(token: str) -> str:
    """Return what the settings hold of a token."""
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def owner_of(token: str, known: Iterable[tuple[str, Owner]]) -> Owner | None:
    """Return who a token belongs to, by the known hashes; None if it is not valid.

    Each hash is compared, in constant time: how long it takes says nothing.
    """
    if not 0 < len(token) <= LONGEST:
        return None
    digest, found = hash_of(token), None
    for each, owner in known:
        if hmac.compare_digest(each, digest):
            found = owner
    return found


@dataclass(frozen=True)
class Caller:
    """Who sent a request, and whose refunds it may see."""

    name: str
    stores: frozenset[str]
    limit: Mapping[str, str] = field(default_factory=dict)
    """The largest amount of one refund, by currency; {} for any."""

    def may_see(self, store_id: str | None) -> bool:
        """Whether this is one of its stores; None stands for all stores, which is about it too."""
        return store_id is None or ALL_STORES in self.stores or store_id in self.stores


class Tokens:
    """Finds out who a token belongs to."""

    def __init__(self, producers: Mapping[str, ApiProducer]) -> None:
        self._known = [
            (digest, Caller(name, frozenset(producer.stores), producer.limit))
            for name, producer in producers.items()
            for digest in producer.sha256
        ]

    def caller(self, authorization: str | None) -> Caller | None:
        """Return who sent an `Authorization` header; None if it has no valid bearer token."""
        scheme, _, token = (authorization or "").partition(" ")
        return owner_of(token.strip(), self._known) if scheme.lower() == "bearer" else None
