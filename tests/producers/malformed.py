"""The ways in which a job is malformed, and what must be said about each."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

#: A field that is left out.
GONE = object()


class Way(NamedTuple):
    """One way, as a change of a job that is right."""

    name: str
    change: Mapping[str, Any]
    field: str
    """The field that the error names; "job" for what is wrong with several together."""


_LINE = {"line_item_id": "l-1", "quantity": 1}

#: Of the fields of a job: each producer sends these.
FIELDS: tuple[Way, ...] = (
    Way("no store", {"store_id": GONE}, "store_id"),
    Way("no order", {"order_id": GONE}, "order_id"),
    Way("store is no id", {"store_id": "my shop"}, "store_id"),
    Way("order is no id", {"order_id": "10001"}, "order_id"),
    Way("unknown field", {"reson": "damaged"}, "reson"),
    Way("reason too long", {"reason": "x" * 5_000}, "reason"),
    Way("reason no text", {"reason": ["damaged"]}, "reason"),
    Way("amount a number", {"amount": 12, "currency": "EUR"}, "amount"),
    Way("amount negative", {"amount": "-1.00", "currency": "EUR"}, "amount"),
    Way("amount zero", {"amount": "0.00", "currency": "EUR"}, "amount"),
    Way("amount without currency", {"amount": "1.00"}, "job"),
    Way("currency no code", {"amount": "1.00", "currency": "Euro"}, "currency"),
    Way("line without quantity", {"lines": [{"line_item_id": "l-1"}]}, "lines.0.quantity"),
    Way("no units", {"lines": [_LINE | {"quantity": 0}]}, "lines.0.quantity"),
    Way("many notes", {"metadata": {f"n{n}": "x" for n in range(21)}}, "metadata"),
    Way("note no text", {"metadata": {"n": 1}}, "metadata.n"),
    Way("unknown reason code", {"reason_code": "whim"}, "reason_code"),
    Way("moment without offset", {"expires_at": "2030-01-01T00:00:00"}, "expires_at"),
    Way("unknown priority", {"priority": "urgent"}, "priority"),
    Way("newer version", {"version": 2}, "version"),
    Way("wrong trace", {"traceparent": "00-0-0-00"}, "traceparent"),
    Way("flag a text", {"restock": "yes"}, "restock"),
)
#: Those that the example for the shell can send: its job has four fields.
SHELL = ("store is no id", "order is no id", "reason too long")

#: Of the message itself, by the reason of the dead letter: what Node and the shell also send.
MESSAGES: Mapping[str, str] = {"not JSON": "undecodable", "unknown actor": "unknown_actor"}

BY_NAME: Mapping[str, Way] = {way.name: way for way in FIELDS}


def spoiled(job: Mapping[str, Any], way: str) -> dict[str, Any]:
    """Return the job with one thing wrong."""
    changed = {**job, **BY_NAME[way].change}
    return {name: value for name, value in changed.items() if value is not GONE}


def broken_message(refund_id: str, way: str) -> str:
    """Return a message that no actor can take; the id is in it."""
    if way == "not JSON":
        return f'{{"actor_name": "request_refund", "kwargs": {{"refund_id": "{refund_id}"'
    fields = {"queue_name": "refunds", "actor_name": "refund_request", "args": []}
    more = {"kwargs": {"refund_id": refund_id}, "options": {}, "message_id": refund_id}
    return json.dumps(fields | more | {"message_timestamp": 1})
