"""Read what a client sent: small, soon, and one JSON object in which no name stands twice."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, NoReturn

from starlette.requests import Request

from worker.api.problems import Problem
from worker.serving.body import BODY_S, Cut, TooLarge, TooSlow, read_body
from worker.upstream import rules

#: A job may be written with blanks; the job itself has a limit of its own.
MOST_BYTES = 2 * rules.MOST_BYTES
#: How deep lists and objects may be nested; a job needs three levels.
DEEPEST = 20


async def read_object(request: Request) -> dict[str, Any]:
    """Return the object in the body.

    Raises:
        Problem: there is none.
    """
    media_type, _, parameters = request.headers.get("content-type", "").partition(";")
    charset = parameters.strip().lower()
    if media_type.strip().lower() != "application/json" or charset not in {"", "charset=utf-8"}:
        raise Problem("not-json", "Send Content-Type: application/json, in UTF-8.")
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise Problem("not-json", "Send the body without Content-Encoding.")
    return _parse(await _read(request))


async def _read(request: Request) -> bytes:
    try:
        return await read_body(request, MOST_BYTES)
    except TooLarge:
        raise _too_large() from None
    except TooSlow:
        raise Problem("too-slow", f"The body did not arrive within {BODY_S} s.") from None
    except Cut:
        raise Problem("malformed", "The connection ended before the body.") from None


def _too_large() -> Problem:
    # The rest is not read, so that the connection cannot be used again.
    return Problem(
        "too-large",
        f"The body must have at most {MOST_BYTES} bytes.",
        headers={"Connection": "close"},
    )


def _parse(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body.decode(), object_pairs_hook=_once, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise Problem(
            "malformed", "The body must be one JSON document in UTF-8, with each name once."
        ) from None
    if not isinstance(found, dict):
        raise invalid([{"field": "job", "rule": "type", "detail": rules.NOT_A_TABLE}])
    if _is_deep(found.values()):
        raise Problem("malformed", f"The body is nested more than {DEEPEST} levels deep.")
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError
    return found


def _no_constant(_: str) -> NoReturn:
    raise ValueError


def _is_deep(values: Iterable[Any]) -> bool:
    level = list(values)
    for _ in range(DEEPEST):
        level = [
            inner
            for each in level
            if isinstance(each, dict | list)
            for inner in (each.values() if isinstance(each, dict) else each)
        ]
    return bool(level)


def invalid(errors: list[dict[str, Any]]) -> Problem:
    """Return the problem of invalid fields: each error has `field`, `rule` and `detail`."""
    names = ", ".join(dict.fromkeys(str(one["field"]) for one in errors))
    return Problem("invalid", f"Invalid: {names[:500]}.", errors=errors)
