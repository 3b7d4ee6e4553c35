"""What reads bytes from outside. A reader may refuse them with its own error, and no other."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from pydantic import TypeAdapter, ValidationError

from config.webhooks import EXAMPLE, Webhooks
from worker.errors import CallFailed
from worker.queue.decoding import Undecodable, decode
from worker.refund.request import InvalidJob, parse_request, stored_request
from worker.upstream.wire import message_of
from worker.wix.errors import RETRY_AFTER_CAP_MS, error_from, parse_body, retry_after_ms
from worker.wix.exchange import Read
from worker.wix.models import CancelAnswer, FulfillmentsAnswer, OrderAnswer
from worker.wix.refundability import Calculation, Refundability

NOW = datetime(2026, 1, 31, 8, tzinfo=UTC)
MODELS = (OrderAnswer, CancelAnswer, FulfillmentsAnswer, Refundability, Calculation)
WEBHOOKS: TypeAdapter[Any] = TypeAdapter(Webhooks)


def read_message(content: bytes) -> None:
    """A message on the queue, and the job in it."""
    text = content.decode("utf-8", "backslashreplace")
    with suppress(Undecodable):
        decode(text, queue="refunds", message_id="m", of_jobs=False)
    with suppress(Undecodable, InvalidJob):
        found = decode(text, queue="refunds", message_id="m", of_jobs=True)
        request = parse_request(found.kwargs, malformed=found.options.get("problems", {}))
        assert stored_request(request.canonical) == request


def read_answer(content: bytes) -> None:
    """An answer of Wix, of any call, and as an error."""
    body = parse_body(Read(200, {}, content))
    for model in MODELS:
        with suppress(ValidationError):
            model.model_validate(body)
    for status in (400, 403, 404, 429, 503):
        assert isinstance(
            error_from("get_order", Read(status, {}, content), mutates=True), CallFailed
        )


def read_wait(content: bytes) -> None:
    """The header `Retry-After`."""
    wait_ms = retry_after_ms({"retry-after": content.decode("latin-1")}, NOW)
    assert wait_ms is None or 0 <= wait_ms <= RETRY_AFTER_CAP_MS


def read_webhooks(content: bytes) -> None:
    """The setting with the addresses and secrets of webhooks."""
    with suppress(ValidationError):
        WEBHOOKS.validate_python(content.decode("utf-8", "replace"))


_JOB = json.dumps({
    "refund_id": "rf-1", "store_id": "4b296c48-0000-4000-8000-000000000001",
    "order_id": "67668940-527d-4465-94c6-5475d8c7a412", "currency": "EUR", "shipping": "4.90",
    "lines": [{"line_item_id": "l1", "quantity": 2, "amount": "7.50"}], "metadata": {"a": "b"},
})  # fmt: skip
#: What reads, each with inputs to begin with.
READERS: Sequence[tuple[Callable[[bytes], None], Sequence[bytes]]] = (
    (read_message, (message_of("rf-1", _JOB).text.encode(),)),
    (read_answer, (b'{"order": {"id": "o", "priceSummary": {"total": {"amount": "1.00"}}}}',
                   b'{"message": "m", "details": {"applicationError": {"code": "C"}}}')),
    (read_wait, (b"12", b"Wed, 21 Oct 2026 07:28:00 GMT")),
    (read_webhooks, (EXAMPLE.encode(),)),
)  # fmt: skip


def read(content: bytes) -> None:
    """Give an input to its reader, which the first byte chooses."""
    READERS[content[0] % len(READERS) if content else 0][0](content[1:])
