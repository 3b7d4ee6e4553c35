"""The outcomes of a caller's stores: page by page, and the request waits for the next one."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

import redis
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from worker.refund.event import Event
from worker.serving.tokens import Caller

#: How many events one request looks at; those of other stores count, too.
MOST_LOOKED_AT = 5_000
_PIECE = 500
#: How long one read of the stream waits, and how often a request looks whether the server stops.
_BLOCK_MS, _SLICE_S = 1_000, 0.5


class OutcomePage(BaseModel):
    """Some outcomes, oldest first."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    outcomes: list[Event]
    """CloudEvents 1.0."""
    after: str = Field(examples=["1700000000000-0"])
    """Where to continue. It may be further than the last outcome: other stores have outcomes."""
    more: bool
    """Whether the next page can be had at once."""


class Tail:
    """Tells the requests that wait when the stream has grown; one thread reads for all of them."""

    def __init__(self, client: redis.Redis, ns: str) -> None:
        self._redis = client
        self._stream = f"{ns}:outcomes"
        self._position = ""
        self._task: asyncio.Task[None] | None = None
        self.news = asyncio.Event()
        """Is set when the stream has grown; then there is another one."""

    async def start(self) -> None:
        """Begin to read, once."""
        if self._task is None:
            self._position = await run_in_threadpool(self._newest)
            self._task = self._task or asyncio.create_task(self._follow())

    def page(self, caller: Caller, after: str, limit: int) -> dict[str, Any]:
        """Return what comes after a position, of the caller's stores."""
        found: list[dict[str, Any]] = []
        for _ in range(0, MOST_LOOKED_AT, _PIECE):
            entries: Any = self._redis.xrange(self._stream, min=f"({after}", count=_PIECE)
            for after, fields in entries:  # noqa: PLR1704 - the position goes on
                event = json.loads(fields["event"])
                if caller.may_see(event["data"].get("store_id")):
                    found.append(event)
                    if len(found) == limit:
                        return {"outcomes": found, "after": after, "more": True}
            if len(entries) < _PIECE:
                return {"outcomes": found, "after": after, "more": False}
        return {"outcomes": found, "after": after, "more": True}

    async def wait_for_page(
        self,
        caller: Caller,
        after: str,
        limit: int,
        wait_s: float,
        is_stopping: Callable[[], bool],
    ) -> dict[str, Any]:
        """Return the next page; wait for it if nothing is there."""
        until = time.monotonic() + wait_s
        await self.start()
        while True:
            news = self.news
            page = await run_in_threadpool(self.page, caller, after, limit)
            after = page["after"]
            if page["outcomes"] or page["more"]:
                return page
            while not news.is_set():
                left_s = until - time.monotonic()
                if left_s <= 0 or is_stopping():
                    return page
                await _wait(news, min(left_s, _SLICE_S))

    async def _follow(self) -> None:
        while True:
            try:
                newest = await run_in_threadpool(self._next)
            except redis.RedisError:
                # Those who wait find out for themselves that Redis does not answer.
                newest = ""
                await asyncio.sleep(_SLICE_S)
            if newest != self._position:
                self._position = newest or self._position
                self.news.set()
                self.news = asyncio.Event()

    def _next(self) -> str:
        """Wait until the stream has grown; returns its newest position."""
        read: Any = self._redis.xread({self._stream: self._position}, count=1, block=_BLOCK_MS)
        return self._newest() if read else self._position

    def _newest(self) -> str:
        newest: Any = self._redis.xrevrange(self._stream, count=1)
        return newest[0][0] if newest else "0-0"


async def _wait(news: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await news.wait()
    except TimeoutError:
        return
