"""What the ledger knows of each webhook: how far it has come, what waits, what was given up."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any

import redis

from worker.ledger.audit_log import Act

#: Longer than a delivery may take; another worker then goes on.
LEASE_MS = 30_000
#: After so many failures in a row, nothing new is sent until a delivery is taken.
FAILING_AFTER = 10


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """An event that could not be delivered so far, or that waits behind one of the same refund."""

    subject: str
    type: str
    event: str
    """The CloudEvent, as it is in the stream."""
    attempts: int = 0
    first_ms: int = 0
    """When it was tried first, by the ledger's clock; 0 if it was not."""
    due_ms: int = 0
    error: str = ""


@dataclass(frozen=True, kw_only=True)
class Standing:
    """How a webhook stands."""

    cursor: str = ""
    """The position of the stream up to which each event was delivered, waits or is dead."""
    paused_why: str = ""
    """Why it is paused, "" if it is not."""
    paused_at_ms: int = 0
    failures: int = 0
    """How many deliveries in a row have failed."""
    failing_since_ms: int = 0
    delivered: int = 0
    last_ok_ms: int = 0
    last_error: str = ""
    acts: int = 0
    """How often a person has changed something."""


@dataclass(frozen=True)
class Opened:
    """This worker delivers to the webhook, for a while."""

    now_ms: int
    was_mine: bool
    """Whether it did before, so that nobody else has written meanwhile."""
    standing: Standing


def _standing(fields: Mapping[str, str]) -> Standing:
    known = {}
    for name, default in asdict(Standing()).items():
        if name in fields:
            known[name] = type(default)(fields[name])
    return Standing(**known)


class Webhooks:
    """Reads and writes the webhooks. Raises redis.RedisError if the server does not answer."""

    def __init__(self, client: redis.Redis, ns: str, run: Callable[..., Any]) -> None:
        self._redis = client
        self._ns = ns
        self._run = run
        """Runs a script of the ledger by its name."""

    def open(self, name: str, token: str) -> Opened | None:
        """Become, or stay, the one that delivers; None if another worker does."""
        found = self._run("webhook_open", name=name, token=token, lease_ms=LEASE_MS)
        if not found:
            return None
        now_ms, was_mine, *flat = found
        fields = dict(zip(flat[::2], flat[1::2], strict=True))
        return Opened(int(now_ms), bool(was_mine), _standing(fields))

    def leave(self, name: str, token: str) -> None:
        """Let another worker deliver."""
        self._run("webhook_leave", name=name, token=token)

    def note(
        self,
        name: str,
        token: str,
        *,
        fields: Mapping[str, object] = MappingProxyType({}),
        waiting: Mapping[str, Delivery] = MappingProxyType({}),
        dead: Mapping[str, Delivery] = MappingProxyType({}),
        done: Iterable[str] = (),
        stops: str = "",
    ) -> bool:
        """Record what became of deliveries; False if another worker delivers by now."""
        return bool(
            self._run(
                "webhook_note",
                name=name,
                token=token,
                lease_ms=LEASE_MS,
                fields={field: str(value) for field, value in fields.items()},
                waiting=_texts(waiting),
                dead=_texts(dead),
                done=list(done),
                stops=stops,
            )
        )

    def act(
        self,
        name: str,
        what: str,
        act: Act,
        *,
        why: str = "",
        deliveries: Mapping[str, Delivery] = MappingProxyType({}),
    ) -> int:
        """Pause or resume a webhook, or replay dead deliveries; returns how much was changed."""
        given = {"name": name, "what": what, "why": why, "deliveries": _texts(deliveries)}
        return int(self._run("webhook_act", act, **given))

    def standing(self, name: str) -> Standing:
        """Return how a webhook stands."""
        fields: Any = self._redis.hgetall(f"{self._ns}:webhook:{name}")
        return _standing(fields)

    def waiting(self, name: str) -> dict[str, Delivery]:
        """Return what waits, by its position in the stream."""
        return self._deliveries(f"{self._ns}:webhook:{name}:waiting")

    def dead(self, name: str) -> dict[str, Delivery]:
        """Return what was given up, by its position in the stream."""
        return self._deliveries(f"{self._ns}:webhook:{name}:dead")

    def counts(self, name: str) -> tuple[int, int]:
        """Return how many deliveries wait, and how many are dead."""
        lists = [f"{self._ns}:webhook:{name}:{one}" for one in ("waiting", "dead")]
        return int(self._redis.hlen(lists[0])), int(self._redis.hlen(lists[1]))

    def events(self, after: str, count: int) -> list[tuple[str, str]]:
        """Return the next events of the stream: position and text."""
        found: Any = self._redis.xrange(f"{self._ns}:outcomes", min=f"({after}", count=count)
        return [(position, fields["event"]) for position, fields in found]

    def _deliveries(self, key: str) -> dict[str, Delivery]:
        found: Any = self._redis.hgetall(key)
        return {position: Delivery(**json.loads(text)) for position, text in found.items()}


def _texts(deliveries: Mapping[str, Delivery]) -> dict[str, str]:
    return {
        position: json.dumps(asdict(delivery), ensure_ascii=False, separators=(",", ":"))
        for position, delivery in deliveries.items()
    }
