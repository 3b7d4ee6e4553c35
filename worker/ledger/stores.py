"""What we know about stores, and their suspension. Every write is one script."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import redis

from statemachine.flows import ACTIVE, State
from worker.ledger.audit_log import Act, AuditLog
from worker.ledger.lanes import LaneRules
from worker.ledger.scripts import load_scripts
from worker.observability.redaction import redact
from worker.refund import outcomes
from worker.refund.record import Refund

#: Number of records that are read at once.
PAGE = 500


#: The reason for which the lane of a store without a key waits.
NOT_CONNECTED = "store_not_connected"

StoreState = Literal["connected", "suspended", "unknown", "disconnected", "given"]


@dataclass(frozen=True, kw_only=True)
class StoreRecord:
    """One store, as read at one moment."""

    store_id: str
    state: StoreState
    """"given": its key comes from REFUNDS_STORES alone; "unknown": refunds wait for its key."""
    sealed: str
    epoch: int
    profile: Mapping[str, Any]
    """What Wix answered when it was connected or checked: name, currency, time_zone, checks."""
    waiting: int
    """Refunds in its lane."""
    in_flight: int
    connected_at_ms: int
    last_success_ms: int
    """When Wix last accepted the key, unix ms; 0 for never."""
    last_error: Mapping[str, Any]
    last_error_at_ms: int
    suspension: Mapping[str, str]
    """The fields of the hash; empty when it is not suspended."""
    pause: Mapping[str, Any]
    """Who paused it, or all stores, and why; empty when it is not paused."""
    observed_up_to_ms: int
    """Up to when it is known what its merchant did, unix ms; 0 when nobody looks."""

    @property
    def suspended_epoch(self) -> int:
        """The epoch of its suspension; 0 if it is not suspended."""
        return int(self.suspension.get("epoch", 0))

    def public(self) -> dict[str, Any]:
        """Return the record as operators see it, for JSON, without the encrypted key."""
        why = json.loads(self.suspension.get("reason", "null"))
        return {
            "store_id": self.store_id,
            "state": self.state,
            "name": self.profile.get("name"),
            "currency": self.profile.get("currency"),
            "time_zone": self.profile.get("time_zone"),
            "waiting": self.waiting,
            "in_flight": self.in_flight,
            "connected_at_ms": self.connected_at_ms or None,
            "last_success_at_ms": self.last_success_ms or None,
            "last_error": dict(self.last_error) or None,
            "last_error_at_ms": self.last_error_at_ms or None,
            "suspended_since_ms": int(self.suspension.get("since_ms", 0)) or None,
            "suspended_because": why,
            "paused": dict(self.pause) or None,
            "observed_up_to_ms": self.observed_up_to_ms or None,
            "checks": self.profile.get("checks"),
        }


class Rights(NamedTuple):
    """What a key permits, as far as steps have found out."""

    worked: frozenset[str]
    """The endpoints that have accepted it."""
    lacking: frozenset[str]
    """The endpoints for which it was found to lack a permission, and that have not accepted it
    since."""


class Stores:
    """Reads and writes stores. Raises redis.RedisError when the server does not answer."""

    def __init__(
        self, client: redis.Redis, *, namespace: str, lanes: LaneRules, worker_dead_after_ms: int
    ) -> None:
        self.ns = f"{{{namespace}}}"
        self._redis = client
        self._dead_after_ms = worker_dead_after_ms
        self._audit_log = AuditLog(client, self.ns)
        names = ("connect", "resume", "disconnect", "bury", "overdue", "reseal", "probed")
        self._scripts = load_scripts(client, names, namespace=namespace, lanes=lanes)

    def _run(self, script: str, store_id: str, *, act: Act | None = None, **arguments: Any) -> Any:
        # The nonce lets a script recognise its own repetition after a lost reply.
        given = {"store_id": store_id, "nonce": uuid.uuid4().hex, **arguments}
        given["dead_after_ms"] = self._dead_after_ms
        return self._audit_log.call(self._scripts[script], given, act)

    def connect(
        self,
        store_id: str,
        sealed: str,
        profile: Mapping[str, Any],
        accepted: Iterable[str],
        act: Act | None = None,
    ) -> Literal["connected", "rotated"]:
        """Save a store or replace its key, and start its lane; running steps end with either key.

        *accepted* are the endpoints that accepted the new key; those of the old one are forgotten.
        """
        shown = {name: profile.get(name) for name in ("name", "currency", "time_zone")}
        return self._run(  # type: ignore[no-any-return]  # one of the two words of connect.lua
            "connect",
            store_id,
            sealed=sealed,
            profile=json.dumps(redact(profile), ensure_ascii=False),
            accepted_endpoints=sorted(accepted),
            outcome=outcomes.of_store("connected", store_id, **shown),
            resumed=outcomes.of_store("resumed", store_id, by="connect"),
            act=act,
        )

    def resume(
        self, store_id: str, *, by: str, epoch: int | None = None, act: Act | None = None
    ) -> bool:
        """End a suspension; False when there is none, or none of this *epoch*.

        The endpoint that was refused counts as never accepted: if it is refused again while the key
        works elsewhere, a permission is missing and the key is not dead.
        """
        event = outcomes.of_store("resumed", store_id, by=by)
        wanted = "" if epoch is None else str(epoch)
        return bool(self._run("resume", store_id, epoch=wanted, outcome=event, act=act))

    def disconnect(self, store_id: str, act: Act | None = None) -> bool:
        """Forget the key and what was known about it; False when there was no key."""
        event = outcomes.of_store("disconnected", store_id)
        return bool(self._run("disconnect", store_id, outcome=event, act=act))

    def bury(
        self,
        refund: Refund,
        *,
        reason: Mapping[str, Any],
        line: Mapping[str, Any],
        step: str = "disconnect",
        epoch: int | None = None,
    ) -> bool:
        """Turn an unfinished refund into a dead letter; *step* is what does it.

        Returns False if it ended, a worker holds it, or the suspension of this *epoch* is over.
        """
        event = outcomes.outcome_of_end(refund, State.DEAD, step, refund.facts, reason=dict(reason))
        return bool(
            self._run(
                "bury",
                refund.request.store_id,
                refund_id=refund.refund_id,
                reason=json.dumps(redact(reason), ensure_ascii=False),
                history=json.dumps(redact(line), separators=(",", ":"), ensure_ascii=False),
                outcome=event,
                epoch="" if epoch is None else str(epoch),
            )
        )

    def overdue(
        self, store_id: str, *, for_ms: int, limit: int, epoch: int
    ) -> tuple[int, list[str]]:
        """Find refunds that have waited longer than *for_ms* for a store that is not connected.

        Returns ms until the next one has, -1 when none waits and the suspension is over; and ids.
        """
        next_in_ms, *ids = self._run(
            "overdue", store_id, for_ms=for_ms, limit=limit, epoch=str(epoch)
        )
        return int(next_in_ms), ids

    def probe_soon(self, store_ids: Iterable[str]) -> None:
        """Let the probes of these stores be due now, if they are suspended."""
        if due := dict.fromkeys(store_ids, 0):
            self._redis.zadd(f"{self.ns}:probes", due, xx=True)

    def reseal(self, store_id: str, old: str, new: str, act: Act | None = None) -> bool:
        """Replace an encrypted key by the same one, resealed; False if it has changed since."""
        return bool(self._run("reseal", store_id, old=old, new=new, act=act))

    def save_checks(self, store_id: str, profile: Mapping[str, Any]) -> None:
        """Save what a check found."""
        text = json.dumps(redact(profile), ensure_ascii=False)
        self._redis.hset(f"{self.ns}:store:{store_id}", "profile", text)

    def due_probes(self, *, limit: int) -> list[str]:
        """Return the suspended stores that are due for a probe, by the server's clock."""
        clock: Any = self._redis.time()
        offset_ms: Any = self._redis.hget(f"{self.ns}:clock", "offset_ms")
        now_ms = clock[0] * 1000 + clock[1] // 1000 + int(offset_ms or 0)
        due: Any = self._redis.zrangebyscore(
            f"{self.ns}:probes", "-inf", now_ms, start=0, num=limit
        )
        return list(due)

    def probed(self, store_id: str, *, first_ms: int, cap_ms: int, refused: bool) -> None:
        """Set the next probe: after twice the last wait when Wix refused, else after the same."""
        self._run("probed", store_id, first_ms=first_ms, cap_ms=cap_ms, refused=refused)

    def rights(self, store_id: str) -> Rights:
        """Return what this store's key is known to permit."""
        with self._redis.pipeline(transaction=True) as pipe:
            pipe.hkeys(f"{self.ns}:worked:{store_id}")
            pipe.hkeys(f"{self.ns}:lacking:{store_id}")
            worked, lacking = pipe.execute()
        return Rights(frozenset(worked), frozenset(lacking))

    def ids(self) -> list[str]:
        """Return the ids of all connected and suspended stores."""
        connected: Any = self._redis.zrange(f"{self.ns}:stores", 0, -1)
        suspended: Any = self._redis.zrange(f"{self.ns}:probes", 0, -1)
        return list(dict.fromkeys([*connected, *suspended]))

    def sealed(self) -> Iterator[tuple[str, str]]:
        """Yield each store whose encrypted key is in the ledger, with that key."""
        listed: Any = self._redis.zrange(f"{self.ns}:stores", 0, -1)
        for start in range(0, len(listed), PAGE):
            with self._redis.pipeline(transaction=False) as pipe:
                for store_id in listed[start : start + PAGE]:
                    pipe.hget(f"{self.ns}:store:{store_id}", "sealed")
                keys = pipe.execute()
            for store_id, key in zip(listed[start : start + PAGE], keys, strict=True):
                if key:
                    yield store_id, key

    def find(self, store_id: str) -> StoreRecord:
        """Return what is known about a store."""
        with self._redis.pipeline(transaction=True) as pipe:
            pipe.hgetall(f"{self.ns}:store:{store_id}")
            pipe.hgetall(f"{self.ns}:suspended:{store_id}")
            pipe.hvals(f"{self.ns}:worked:{store_id}")
            pipe.zcard(f"{self.ns}:lane:{store_id}")
            pipe.zcard(f"{self.ns}:busy:{store_id}")
            pipe.hmget(f"{self.ns}:paused", store_id, "*")
            pipe.hget(f"{self.ns}:observer:{store_id}", "cursor_ms")
            fields, suspension, accepted, waiting, in_flight, pauses, seen = pipe.execute()
        return StoreRecord(
            store_id=store_id,
            state=_state(fields, suspension),
            sealed=fields.get("sealed", ""),
            epoch=int(fields.get("epoch", 0)),
            profile=json.loads(fields.get("profile", "{}")),
            waiting=waiting,
            in_flight=in_flight,
            connected_at_ms=int(fields.get("connected_at_ms", 0)),
            last_success_ms=max(map(int, accepted), default=0),
            last_error=json.loads(fields.get("last_error", "{}")),
            last_error_at_ms=int(fields.get("last_error_at_ms", 0)),
            suspension=suspension,
            pause=json.loads(next(filter(None, pauses), "{}")),
            observed_up_to_ms=int(seen or 0),
        )

    def unfinished(self, store_id: str) -> Iterator[str]:
        """Yield the ids of a store's unfinished refunds; reads all unfinished ones."""
        for state in sorted(ACTIVE):
            key, start = f"{self.ns}:state:{state}", 0
            while ids := self._page(key, start):
                start += PAGE
                with self._redis.pipeline(transaction=False) as pipe:
                    for refund_id in ids:
                        pipe.hget(f"{self.ns}:refund:{refund_id}", "store_id")
                    owners = pipe.execute()
                yield from (i for i, owner in zip(ids, owners, strict=True) if owner == store_id)

    def _page(self, key: str, start: int) -> list[str]:
        ids: Any = self._redis.zrange(key, start, start + PAGE - 1)
        return list(ids)


def _state(fields: Mapping[str, str], suspension: Mapping[str, str]) -> StoreState:
    if suspension:
        reason = json.loads(suspension.get("reason", "{}")).get("reason")
        return "unknown" if reason == NOT_CONNECTED else "suspended"
    if fields.get("sealed"):
        return "connected"
    return "disconnected" if fields.get("disconnected_at_ms") else "given"
