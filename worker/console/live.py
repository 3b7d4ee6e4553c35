"""Live updates: one stream of server-sent events says when a page should be loaded again.

The ledger is looked at once for all who listen, and only while somebody does.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from worker.console.desks import LOST
from worker.console.door import Door
from worker.console.refusals import Refusal

#: Streams at once, of all and of one user.
MOST_STREAMS, MOST_OF_USER = 200, 10
#: How often the ledger is looked at.
LOOK_S = 2.0
#: How often a stream is looked at: has something changed, is the program stopping?
TURN_S = 0.25
#: A page is loaded again after this time in any case: it says how long ago something was.
OLD_S = 10.0
#: How long a stream lasts; the browser opens the next one, which checks the session again.
STREAM_S = 600


class Live:
    """The streams."""

    def __init__(
        self,
        door: Door,
        read_status: Callable[[], Mapping[str, Any]],
        is_stopping: Callable[[], bool],
    ) -> None:
        self._door = door
        self._read_status = read_status
        self._is_stopping = is_stopping
        self._of_user: Counter[str] = Counter()
        self._looking: asyncio.Task[None] | None = None
        self._seen = ""

    async def stream(self, request: Request) -> Response:
        """Open a stream.

        Raises:
            Refusal: nobody is signed in, or there are too many streams.
        """
        request.scope["operation"] = "stream"
        session = self._door.session_of(request)
        if session is None:
            raise Refusal(403, "Sign in first.")
        user = request.scope["user"] = session.user.name
        if self._of_user.total() >= MOST_STREAMS or self._of_user[user] >= MOST_OF_USER:
            raise Refusal(429, "There are too many live pages.", {"Retry-After": "60"})
        # Counted before anything is awaited: others ask at the same time.
        self._of_user[user] += 1
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())
        return _Stream(self._changes(), lambda: self._of_user.subtract((user,)))

    async def _changes(self) -> AsyncIterator[str]:
        """Yield an event for each change, and one when nothing has changed for a while."""
        ends_at, told, told_at = time.monotonic() + STREAM_S, self._seen, time.monotonic()
        yield "retry: 5000\n\n"
        while not self._is_stopping() and time.monotonic() < ends_at:
            await asyncio.sleep(TURN_S)
            if self._seen != told or time.monotonic() - told_at > OLD_S:
                told, told_at = self._seen, time.monotonic()
                yield f"event: changed\ndata: {told}\n\n"

    async def _look(self) -> None:
        """Look at the ledger while somebody listens."""
        while self._of_user.total() and not self._is_stopping():
            # The pages say that Redis does not answer.
            with suppress(*LOST, Refusal):
                self._seen = mark_of(await run_in_threadpool(self._read_status))
            await asyncio.sleep(LOOK_S)


class _Stream(StreamingResponse):
    """Events, and what is to be done when they have ended, however that was."""

    def __init__(self, events: AsyncIterator[str], ended: Callable[[], object]) -> None:
        super().__init__(events, media_type="text/event-stream")
        self._ended = ended

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._ended()


def mark_of(status: Mapping[str, Any]) -> str:
    """Return a mark that changes when the status does, but not because time goes by."""
    steady = {
        "states": status["refunds"]["states"],
        "jobs": [status["intake"]["jobs"], status["steps"]["jobs"]],
        "workers": [(one["worker_id"], one["state"], one["busy"]) for one in status["workers"]],
        "stores": [
            status["stores"][name] for name in ("suspended_count", "paused", "failing_count")
        ],
        "dead": [status["dead"]["refunds"], status["dead"]["messages"]],
        "approvals": status["approvals"]["count"],
        "outage": bool(status["outage"]),
        "today": status["today"],
        "acts": status.get("acts"),
    }
    text = json.dumps(steady, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
