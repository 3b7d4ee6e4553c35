"""Read the events as a member of a group: each event goes to one of the group's consumers."""

from __future__ import annotations

import os
import re
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .outcomes import Outcome, outcome_of, stream_key

if TYPE_CHECKING:
    import redis

_GROUP_LUA = (Path(__file__).parent / "group.lua").read_text(encoding="utf-8")
#: How many events a consumer takes at once. Few, so that the others have something to do.
_TAKEN = 20
_NAME = re.compile(r"[A-Za-z0-9._:-]{1,100}")
#: After how many seconds of silence the others take over the events of a consumer.
CLAIM_AFTER_S = 60.0


def default_consumer() -> str:
    """Return a name for this process."""
    return re.sub(r"[^A-Za-z0-9._:-]", "-", f"{socket.gethostname()[:80]}-{os.getpid()}")


class Member:
    """One consumer of a group."""

    def __init__(
        self,
        client: redis.Redis,
        namespace: str,
        *,
        group: str,
        consumer: str,
        after: str,
        claim_after_s: float,
    ) -> None:
        for name in (group, consumer):
            if not _NAME.fullmatch(name):
                raise ValueError(
                    f"a name must be 1 to 100 letters, digits and . _ : -, not {name!r}"
                )
        self._client = client
        self._names = (group, consumer)
        self._after = after
        self._silent_ms = round(claim_after_s * 1000)
        stream = stream_key(namespace)
        self._stream = stream
        self._keys = [stream, f"{stream}:owners:{group}", f"{stream}:beats:{group}"]
        self._script = client.register_script(_GROUP_LUA)
        self._held: dict[str, str] = {}
        """The subject of each event that was taken and is not acknowledged, by its position."""
        self._last = "0"

    def _call(self, command: str, *more: Any) -> Any:
        return self._script(keys=self._keys, args=[command, *self._names, *more])

    def take(self) -> list[Outcome]:
        """Return events of which this consumer does not know yet, the oldest first.

        Raises:
            redis.RedisError: the server does not answer; ask again.
        """
        import redis  # noqa: PLC0415 - see RefundQueue

        while True:
            try:
                self._last, is_more, *flat = self._call(
                    "take", self._silent_ms, _TAKEN, *self._held
                )
            except redis.ResponseError as error:
                # A new stream or group; or a server that has forgotten it.
                if "NOGROUP" not in str(error) and "no such key" not in str(error):
                    raise
                self._create()
                continue
            pairs = zip(flat[::2], flat[1::2])
            found = [outcome_of(position, text) for position, text in pairs]
            self._held.update({one.position: str(one.event["subject"]) for one in found})
            if found or not is_more:
                return found

    def _create(self) -> None:
        import redis  # noqa: PLC0415 - see RefundQueue

        try:
            self._client.xgroup_create(self._stream, self._names[0], self._after, mkstream=True)
        except redis.ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise

    def pause(self, block_ms: int) -> None:
        """Wait for something new, for so long."""
        self._client.xread({self._stream: self._last}, count=1, block=block_ms)

    def acknowledge(self, outcome: Outcome) -> None:
        """Say that an event was dealt with: nobody gets it again."""
        self._call("acknowledge", outcome.position, str(outcome.event["subject"]))
        self._held.pop(outcome.position, None)

    def leave(self) -> None:
        """Let the others have what is not acknowledged, at once."""
        self._call("leave")
