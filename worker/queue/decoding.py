"""From text to a message: whoever can write to the queue may have written it."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import dramatiq

#: The actor that takes jobs in.
TAKES_JOBS = "request_refund"
#: How deep the lists and objects of a message may be nested; a job needs three levels.
DEEPEST = 20
#: What follows each name in an object; a text may have it, too.
_END_OF_NAME = re.compile(r'"\s*:')
#: The end of the year 9999, unix ms.
LAST_MS = 253_402_300_799_000

_SHAPES: tuple[tuple[str, type, str], ...] = (
    ("args", list, "must be an empty list"),
    ("kwargs", dict, "must be an object with the fields of the job"),
    ("options", dict, "must be an object"),
)


class Undecodable(ValueError):
    """The text is not a message for this queue."""


def decode(body: str, *, queue: str, message_id: str, of_jobs: bool) -> dramatiq.Message[Any]:
    """Return the message; what is wrong with a job, and its due time, are among its options.

    The message's own options are kept as `given`, but nothing obeys them: an `eta` would let
    dramatiq hold the message in memory (pitfall 3), and others would end its thread.

    Raises:
        Undecodable: the text is not a message for this queue.
    """
    fields, twice = _read(body)
    if not isinstance(fields, dict) or not isinstance(fields.get("actor_name"), str):
        raise Undecodable
    problems = {**dict.fromkeys(twice, "stands twice in the message"), **dict(_misshapen(fields))}
    options: dict[str, Any] = {"redis_message_id": message_id, "given": fields.get("options")}
    if of_jobs and fields["actor_name"] == TAKES_JOBS:
        problems |= dict(_not_for_jobs(fields))
        options["problems"] = problems
        if problems:
            fields |= {"args": [], "kwargs": _as_job(fields)}
        else:
            options["due_at_ms"] = int(fields["options"].get("eta") or 0)
    elif problems or not (of_jobs or _is_step(fields)):
        raise Undecodable
    try:
        return dramatiq.Message(**fields | {"queue_name": queue, "options": options})
    except TypeError:
        raise Undecodable from None


def _read(body: str) -> tuple[Any, Iterable[str]]:
    """Return what the text says, and the names that stand twice in an object."""
    twice: Counter[str] = Counter()

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            twice.update(Counter(name for name, _ in pairs) - Counter(list(found)))
        return found

    try:
        fields = json.loads(body)
        # If there are no more ends of names than names, none was dropped: this is quicker.
        if len(_END_OF_NAME.findall(body)) > _names_in(fields):
            fields = json.loads(body, object_pairs_hook=once)
    except (ValueError, RecursionError):
        raise Undecodable from None
    return fields, twice


def _names_in(value: object) -> int:
    """Return the number of names in all objects; a nested one counts if it is not too deep."""
    names, level = 0, [value]
    for _ in range(DEEPEST):
        inner: list[object] = []
        for each in level:
            if isinstance(each, dict):
                names += len(each)
                inner += each.values()
            elif isinstance(each, list):
                inner += each
        if not inner:
            break
        level = inner
    return names


def _misshapen(fields: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, kind, sentence in _SHAPES:
        if not isinstance(fields.get(name), kind):
            yield name, sentence
        elif _is_deep(fields[name]):
            yield name, f"is nested more than {DEEPEST} levels deep"


def _not_for_jobs(fields: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if fields.get("args"):
        yield "args", "must be empty; the fields of a job are keyword arguments"
    options = fields.get("options")
    eta = options.get("eta") if isinstance(options, dict) else None
    is_number = isinstance(eta, int | float) and not isinstance(eta, bool)
    if eta is not None and not (is_number and 0 <= eta <= LAST_MS):
        yield "eta", "must be a time in unix milliseconds"


def _is_step(fields: Mapping[str, Any]) -> bool:
    """Whether this is one of our own messages: they say which refund to look at now."""
    args = fields["args"]
    return len(args) == 1 and isinstance(args[0], str) and not fields["kwargs"]


def _as_job(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a letter shows of a job that is no job."""
    args, kwargs = fields.get("args"), fields.get("kwargs")
    job = dict(kwargs) if isinstance(kwargs, dict) else {"kwargs": kwargs}
    job |= {"args": args} if args else {}
    return {name: value for name, value in job.items() if not _is_deep(value)}


def _is_deep(value: object) -> bool:
    """Whether *value* is nested too deeply to be read by recursion."""
    level = [value]
    for _ in range(DEEPEST):
        level = [
            inner
            for each in level
            for inner in (
                each.values() if isinstance(each, dict) else each if isinstance(each, list) else ()
            )
        ]
        if not level:
            return False
    return True
