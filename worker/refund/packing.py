"""The history of a finished refund as one short text, and its record in fewer characters."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Mapping
from typing import Any

from worker.refund.request import RefundRequest

#: The first character of a packed history: how it was packed.
VERSION = "1"
#: Texts that histories have in common, the most frequent last. What was packed with it can only be
#: unpacked with it: it never changes, another one would get another version.
_COMMON = b"".join(
    (
        b'{"at_ms":17,"event":"refund.resolved","event":"refund.discarded"',
        b',"event":"refund.reversed","event":"refund.replayed","operator":"","by":"","why":"',
        b'"event":"step.dead","transition":"","attempt":1,"wix_calls":1,"from_state":""',
        b',"reason":"attempts_used_up","sentence":"","http_status":503,"wix_code":""',
        b',"wix_request_id":"","event":"step.rejected","reason":"not_refundable"',
        b',"event":"step.waiting","why":"the payment provider has not settled it yet"',
        b',"in_ms":1000}\n"event":"step.retry","reason":"wix_unavailable"',
        b',"error":"submit_refund HTTP 503","in_ms":,"outcome_unknown":true,"found":true',
        b',"by_merchant":false,"transition":"unfulfill_order","transition":"cancel_order"',
        b',"from_state":"fulfilled","to_state":"unfulfilled"}\n"from_state":"unfulfilled"',
        b',"to_state":"cancelled"}\n"transition":"void_payments"',
        b',"transition":"confirm_void","transition":"restore_fulfillments"',
        b'{"at_ms":17,"event":"refund.accepted","requested_by":""}\n',
        b'{"at_ms":17,"event":"step.done","transition":"assess_order","attempt":1',
        b',"wix_calls":1,"wix_request_id":"","from_state":"accepted"',
        b',"to_state":"refundable"}\n{"at_ms":17,"event":"step.done"',
        b',"transition":"submit_refund","attempt":1,"wix_calls":3,"wix_request_id":""',
        b',"from_state":"refundable","to_state":"refund_submitted"}\n{"at_ms":17',
        b',"event":"step.done","transition":"confirm_refund","attempt":1,"wix_calls":1',
        b',"wix_request_id":"","from_state":"refund_submitted","to_state":"refunded"}',
    )
)
#: Window (8 KB) and memory of zlib. To get the memory of the largest ones takes longer than to pack
#: some hundred characters. What was packed with a small window is unpacked with any larger one.
_SMALL = (-13, 5)
#: Fields of a record that only mean something while it has not ended.
_OF_STEPS = frozenset({"message_id", "reserved", "prior_intent_at_ms", "suspected_at_ms"})
#: What a field that is not there stands for.
_EMPTY = frozenset({"0", "{}", ""})


def pack(lines: list[str]) -> str:
    """Return lines as one text."""
    packer = zlib.compressobj(9, zlib.DEFLATED, *_SMALL, zdict=_COMMON)
    packed = packer.compress("\n".join(lines).encode()) + packer.flush()
    return VERSION + base64.b85encode(packed).decode()


def unpack(text: str) -> list[str]:
    """Return the lines that were packed; none for "".

    Raises:
        ValueError: the text is damaged, or a newer version packed it.
    """
    if not text:
        return []
    if not text.startswith(VERSION):
        raise ValueError("the history was packed by a newer version")
    unpacker = zlib.decompressobj(-zlib.MAX_WBITS, zdict=_COMMON)
    try:
        lines = unpacker.decompress(base64.b85decode(text[len(VERSION) :])) + unpacker.flush()
    except zlib.error as error:
        raise ValueError("the history is damaged") from error
    if not unpacker.eof or unpacker.unused_data:
        raise ValueError("the history is damaged")
    return lines.decode().split("\n")


def dropped(fields: Mapping[str, str]) -> list[str]:
    """Return the fields of a finished record that can be left out."""
    return [
        name
        for name, value in fields.items()
        if name in _OF_STEPS or (value in _EMPTY and name in _DEFAULTED)
    ]


#: Fields that `refund_from` and the scripts read as 0 or empty when they are not there.
_DEFAULTED = frozenset({
    "attempt", "failing_since_ms", "intent_at_ms", "due_at_ms", "replayed_at_ms", "last_try_ms",
    "reason",
})  # fmt: skip


def shorter(fields: Mapping[str, str]) -> dict[str, str]:
    """Return the fields of a finished record that mean the same in fewer characters."""
    told = {"facts": _short(json.loads(fields.get("facts") or "{}"))}
    # An older version may have masked the job, and the stored text is compared with a repeat of it.
    if "schema" in fields:
        request = json.loads(fields["request"])
        told["request"] = _short({k: v for k, v in request.items() if v != _JOB.get(k, _JOB)})
    return {name: text for name, text in told.items() if len(text) < len(fields.get(name, ""))}


def _short(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _defaults() -> dict[str, Any]:
    empty = RefundRequest.model_construct(refund_id="", store_id="", order_id="")
    given = empty.model_dump(mode="json")
    return {k: v for k, v in given.items() if not RefundRequest.model_fields[k].is_required()}


#: What a field of a job that is left out stands for.
_JOB = _defaults()
