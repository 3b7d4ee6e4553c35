"""Makes the records of finished refunds smaller, soon after their end (`lua/pack.lua`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import redis

from statemachine.flows import TERMINAL
from worker.refund.packing import dropped, pack, shorter, unpack

#: How many refunds one call of the script packs, and how many such calls a turn makes.
PIECE, PIECES = 100, 20


class Packing:
    """Packs what has ended. Raises redis.RedisError if the server is away."""

    def __init__(self, client: redis.Redis, ns: str, run: Callable[..., Any]) -> None:
        self._redis = client
        self._ns = ns
        self._run = run
        """Runs a script of the ledger by its name."""

    def turn(self, is_stopping: Callable[[], bool] = lambda: False) -> int:
        """Pack what has ended since the last turn; return how many refunds."""
        packed = 0
        for _ in range(PIECES):
            found: Any = self._redis.srandmember(f"{self._ns}:unpacked", PIECE)
            if found:
                packed += self._pack(list(found))
            if len(found) < PIECE or is_stopping():
                break
        return packed

    def _pack(self, ids: list[str]) -> int:
        with self._redis.pipeline(transaction=False) as pipe:
            for refund_id in ids:
                pipe.hgetall(f"{self._ns}:refund:{refund_id}")
                pipe.lrange(f"{self._ns}:history:{refund_id}", 0, -1)
            flat = pipe.execute()
        records = zip(ids, flat[::2], flat[1::2], strict=True)
        given = [_argument(*record) for record in records]
        states = dict.fromkeys(sorted(TERMINAL), True)
        return int(self._run("pack", refunds=given, states=states))


def _argument(refund_id: str, fields: dict[str, str], lines: list[str]) -> dict[str, Any]:
    told: dict[str, Any] = {
        "refund_id": refund_id,
        "version": fields.get("version", ""),
        "lines": len(lines),
    }
    try:
        history = [*unpack(fields.get("packed", "")), *lines]
        return told | {
            "fields": shorter(fields) | ({"packed": pack(history)} if lines else {}),
            "dropped": dropped(fields),
        }
    except (ValueError, KeyError, AttributeError):
        # A damaged record stays as it is.
        return told | {"fields": {}, "dropped": [], "is_damaged": True}
