"""The audit log: who did what, when and why. Entries are appended by the script of the act itself.

Each entry is one line of canonical JSON and holds the SHA-256 of the line before, so a line that
is changed, left out or put in later breaks the chain. The program makes the line, because Lua has
no SHA-256; `lua/acts.lua` refuses it if another line came first, and then it is made again.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import redis

from worker.observability.act_events import EVENT_OF_ACT
from worker.observability.compact import compact
from worker.observability.events import log_event
from worker.observability.redaction import redact

if TYPE_CHECKING:
    from redis.commands.core import Script

#: Number of entries that are read at once.
PAGE = 500
#: How many times an entry is made again because another one came first.
TRIES = 200
#: Longer texts of people are cut off.
LONGEST_NAME, LONGEST_WHY = 100, 500


@dataclass(frozen=True, kw_only=True)
class Act:
    """What a person does; secrets in it are masked when it is written."""

    by: str
    """Who does it."""
    name: str
    """What is done, for example "dead.replay"."""
    subject: str
    """The refund, message, store or job that it is done to; "" for all, or for the installation."""
    why: str
    job: str
    before: Mapping[str, Any]
    after: Mapping[str, Any]

    def fields(self) -> dict[str, Any]:
        """Return what the entry says about the act."""
        shown = redact({"by": self.by[:LONGEST_NAME], "why": self.why[:LONGEST_WHY]})
        told = {"act": self.name, "subject": self.subject, "job": self.job}
        states = redact({"before": dict(self.before), "after": dict(self.after)})
        return {**shown, **told, **states}


@dataclass(frozen=True)
class Operator:
    """Who acts, and why."""

    by: str
    why: str = ""
    job: str = ""
    """The bulk act that the act is a part of."""

    def act(
        self,
        name: str,
        subject: str,
        before: Mapping[str, Any] = MappingProxyType({}),
        after: Mapping[str, Any] = MappingProxyType({}),
    ) -> Act:
        """Return the act that this person does."""
        return Act(
            by=self.by,
            why=self.why,
            job=self.job,
            name=name,
            subject=subject,
            before=before,
            after=after,
        )


class Entry(NamedTuple):
    """One entry as it is stored."""

    text: str
    hash: str

    def fields(self) -> dict[str, Any]:
        """Return the entry for people and programs; only what was damaged cannot be read."""
        try:
            found = json.loads(self.text)
        except ValueError:
            found = None
        return found if isinstance(found, dict) else {"damaged": self.text[:LONGEST_WHY]}


class Verified(NamedTuple):
    """What a check of the whole chain found."""

    entries: int
    head: str
    """The hash of the last entry, to compare it with one that was noted earlier."""
    breaks_at: int
    """The number of the first entry that is not right, 0 if all are."""
    problem: str
    """What is wrong with it, "" if nothing is."""


class AuditLog:
    """The audit log of one namespace. Raises redis.RedisError if the server does not answer."""

    def __init__(self, client: redis.Redis, ns: str) -> None:
        self._redis = client
        self.ns = ns

    def call(
        self,
        script: Script,
        arguments: Mapping[str, Any],
        act: Act | None = None,
        texts: Iterable[str] = (),
    ) -> Any:
        """Call a script of the ledger, with the entry of an act if it is one.

        If another entry came first, the entry is made again. *texts* are more arguments of a script
        that is no act.
        """
        if act is None:
            return script(keys=[self.ns], args=[compact(arguments), *texts])
        act_id = uuid.uuid4().hex
        for _ in range(TRIES):
            item = {"job": act.job, "subject": act.subject}
            given = {**arguments, "act": {"id": act_id, **item, **self._entry(act)}}
            try:
                answer: Any = script(keys=[self.ns], args=[compact(given)])
            except redis.ResponseError as error:
                if "HEADMOVED" not in str(error):
                    raise
                continue
            is_recorded, *reply = answer
            if is_recorded:
                log_act(act)
            return reply[0] if reply else None
        raise redis.ResponseError("TRYAGAIN too many others write to the audit log at once")

    def _entry(self, act: Act) -> dict[str, str]:
        # The time is read after the head, so entries are in order of time.
        with self._redis.pipeline(transaction=True) as pipe:
            pipe.hmget(f"{self.ns}:audit_head", "seq", "hash")
            pipe.time()
            (seq, prev), (seconds, micros) = pipe.execute()
        fields = act.fields() | {
            "seq": int(seq or 0) + 1,
            "prev": prev or "",
            "at_ms": seconds * 1000 + micros // 1000,
        }
        text = json.dumps(fields, sort_keys=True, separators=(",", ":"))
        return {"entry": text, "hash": hash_of(text), "prev": prev or ""}

    def count(self) -> int:
        """Count the entries."""
        return int(self._redis.xlen(f"{self.ns}:audit_log"))

    def entries(self, *, since_ms: int = 0) -> Iterator[Entry]:
        """Yield the entries from this time on, oldest first; they are read page by page."""
        after = f"{since_ms}"
        while True:
            page: Any = self._redis.xrange(f"{self.ns}:audit_log", min=after, count=PAGE)
            for stream_id, fields in page:
                after = f"({stream_id}"
                yield Entry(fields.get("entry", ""), fields.get("hash", ""))
            if len(page) < PAGE:
                return

    def newest(self, limit: int, *, since_ms: int = 0) -> list[Entry]:
        """Return the last entries from this time on, oldest first."""
        page: Any = self._redis.xrevrange(f"{self.ns}:audit_log", min=f"{since_ms}", count=limit)
        return [Entry(x.get("entry", ""), x.get("hash", "")) for _, x in reversed(page)]

    def verify(self) -> Verified:
        """Check the whole chain, from the first entry to the head."""
        # Entries that are appended meanwhile are not looked at.
        head: Any = self._redis.hgetall(f"{self.ns}:audit_head")
        last_seq, last_hash = int(head.get("seq", 0)), head.get("hash", "")
        seq, prev = 0, ""
        for entry in self.entries():
            if seq == last_seq and prev == last_hash:
                break
            seq += 1
            if problem := _problem(entry, seq, prev):
                return Verified(seq - 1, prev, seq, problem)
            prev = entry.hash
        if (seq, prev) != (last_seq, last_hash):
            missing = f"the log ends here, but {last_seq} entries were written"
            return Verified(seq, prev, seq + 1, missing)
        return Verified(seq, prev, 0, "")


#: Acts that are logged where they are done, with more than the entry says.
LOGGED_ELSEWHERE = frozenset({"stores.connect", "stores.disconnect"})
#: What begins the names of acts on stores.
_STORES = ("stores.", "pause", "resume")


def log_act(act: Act) -> None:
    """Log what a person did, in the same shape as what the worker does."""
    if act.name in LOGGED_ELSEWHERE:
        return
    event = EVENT_OF_ACT.get(act.name, "operator.acted")
    fields: dict[str, Any] = {"operator": act.by[:LONGEST_NAME], "why": act.why[:LONGEST_WHY]}
    if event == "operator.acted":
        fields |= {"act": act.name, "subject": act.subject}
    elif act.name.startswith(_STORES):
        fields["store_id"] = act.subject or "*"
    else:
        fields["refund_id"] = act.subject
    if act.job:
        fields["job_id"] = act.job
    changed = {"before": dict(act.before), "after": dict(act.after)}
    log_event(event, **fields, **{name: value for name, value in changed.items() if value})


def hash_of(text: str) -> str:
    """Return the SHA-256 of an entry's text."""
    return hashlib.sha256(text.encode()).hexdigest()


def _problem(entry: Entry, seq: int, prev: str) -> str:
    """Say what is wrong with an entry, "" if nothing is."""
    if hash_of(entry.text) != entry.hash:
        return "its text was changed: it does not have the hash that was stored with it"
    found = entry.fields()
    if found.get("seq") != seq:
        return f"entry {seq} is missing or was replaced: the next one has number {found.get('seq')}"
    if found.get("prev") != prev:
        return "it does not continue the entry before: that one was changed, or this one put in"
    return ""
