"""The metrics of the ledgers of all cells, added up."""

from __future__ import annotations

from collections.abc import Sequence

from worker.operations.metrics.of_ledger import LedgerMetrics, Sample

#: Of these the largest counts: cells may share a server, and a wait is as long as the longest.
_LARGEST = ("_seconds", "_bytes", "_outage")


class CellMetrics:
    """Reads several ledgers. Raises redis.RedisError if a server does not answer."""

    def __init__(self, ledgers: Sequence[LedgerMetrics]) -> None:
        self._ledgers = ledgers

    def samples(self) -> list[Sample]:
        """Return the present values."""
        values: dict[tuple[str, tuple[str, ...]], list[float]] = {}
        for ledger in self._ledgers:
            for name, value, labels in ledger.samples():
                values.setdefault((name, labels), []).append(value)
        return [
            Sample(name, _together(name, given), labels) for (name, labels), given in values.items()
        ]


def _together(name: str, values: list[float]) -> float:
    if name == "refunds_ledger_up":
        return min(values)
    return max(values) if name.endswith(_LARGEST) else sum(values)
