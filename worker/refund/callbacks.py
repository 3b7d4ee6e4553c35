"""Whether there is the webhook that a job names in `callback`."""

from __future__ import annotations

from collections.abc import Mapping

from config.access import ALL_STORES
from config.webhooks import WebhookEntry
from worker.refund.request import RefundRequest
from worker.upstream.rules import NO_WEBHOOK


def callback_problem(
    request: RefundRequest, webhooks: Mapping[str, WebhookEntry]
) -> dict[str, str]:
    """Return what is wrong with the callback of a job; {} if nothing is.

    The other webhooks are not named: they may be those of other producers.
    """
    name = request.callback
    entry = webhooks.get(name) if name else None
    is_told = entry is not None and {ALL_STORES, request.store_id} & set(entry.stores)
    return {} if name is None or is_told else {"callback": NO_WEBHOOK}
