"""Send one batch ahead: while Redis takes it, the next one is checked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import redis


class Sender:
    """Runs the script for one batch after the other, on a connection of its own.

    A batch whose answer is an error, or does not come, is sent again in the ordinary way, which
    loads the script, finds a new primary and repeats: a job counts once.
    """

    def __init__(
        self,
        client: redis.Redis,
        sha: str,
        keys: Sequence[str],
        send: Callable[[Sequence[str]], None],
    ) -> None:
        self._connection: Any = client.connection
        self._begin = ("EVALSHA", sha, len(keys), *keys)
        self._send = send
        self._batch: Sequence[str] = ()

    def begin(self, batch: Sequence[str]) -> None:
        """Send a batch, once the one before it has arrived."""
        import redis  # noqa: PLC0415 - see RefundQueue

        self.finish()
        try:
            # A health check would read the answer of the script.
            self._connection.send_command(*self._begin, *batch, check_health=False)
        except redis.RedisError:
            self._send(batch)
        else:
            self._batch = batch

    def finish(self) -> None:
        """Wait until the last batch has arrived."""
        import redis  # noqa: PLC0415 - see RefundQueue

        batch, self._batch = self._batch, ()
        if not batch:
            return
        try:
            self._connection.read_response()
        except redis.RedisError:
            self._send(batch)
