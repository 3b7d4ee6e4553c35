"""Check settings that are valid by themselves but not together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from config.urls import is_unencrypted, max_connections

if TYPE_CHECKING:
    from config.settings import Settings

#: Connections to Redis besides those of the threads for steps: the consumer of steps, that of jobs
#: (which waits while its thread needs one), the scheduler, and the checks at the start.
OTHER_CONNECTIONS = 4


def problems(given: Settings) -> Iterator[str]:
    """Yield a sentence for each pair of settings that does not fit together."""
    if is_unencrypted(given.wix_base_url) and not given.wix_allow_http:
        yield (
            "REFUNDS_WIX_BASE_URL is an http:// address of another machine, to which API keys"
            " would be sent unencrypted: use https://, or set REFUNDS_WIX_ALLOW_HTTP=true"
        )
    needed = given.threads + OTHER_CONNECTIONS
    limit = max_connections(given.redis_url.get_secret_value())
    if limit is not None and limit < needed:
        yield (
            f"REFUNDS_REDIS_URL has max_connections={limit}, but REFUNDS_THREADS is"
            f" {given.threads}: the worker needs {needed} connections, one for each thread and"
            f" {OTHER_CONNECTIONS} more; leave the option out, or set fewer threads"
        )
    if given.settle_delay_ms < given.wix_total_timeout_ms:
        yield (
            f"REFUNDS_SETTLE_DELAY_MS is {given.settle_delay_ms}, but must be at least"
            f" REFUNDS_WIX_TOTAL_TIMEOUT_MS, {given.wix_total_timeout_ms}: otherwise a call"
            " that is still running could be made a second time"
        )
    if 3 * given.worker_beat_ms > given.worker_dead_after_ms:
        yield (
            f"REFUNDS_WORKER_BEAT_MS is {given.worker_beat_ms}, but must be at most a third of"
            f" REFUNDS_WORKER_DEAD_AFTER_MS, {given.worker_dead_after_ms}: otherwise a"
            " live worker could be taken for dead"
        )
    if unknown := _unknown_cells(given):
        yield (
            f"REFUNDS_SERVED_CELLS names {', '.join(unknown)}, but with REFUNDS_CELLS={given.cells}"
            f" there is only {', '.join(_cells(given.cells))}"
        )


def _cells(count: int) -> list[str]:
    return ["front", *map(str, range(count))] if count > 1 else ["front"]


def _unknown_cells(given: Settings) -> list[str]:
    served = given.served_cells.split(",") if given.served_cells else []
    return [cell for cell in served if cell not in _cells(given.cells)]
