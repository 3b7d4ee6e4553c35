"""The outcomes of a caller's stores: page by page, and the request waits for the next one."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Sequence
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
_BLOCK_MS, _SLICE_S = 500, 0.5


class OutcomePage(BaseModel):
    """Some outcomes, oldest first."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    outcomes: list[Event]
    """CloudEvents 1.0."""
    after: str = Field(examples=["1700000000000-0"])
    """Where to continue. It may be further than the last outcome: other stores have outcomes."""
    more: bool
    """Whether the next page can be had at once."""


class Stream:
    """The outcomes of one ledger."""

    def __init__(self, client: redis.Redis, ns: str) -> None:
        self._redis = client
        self._stream = f"{ns}:outcomes"

    def page(
        self, caller: Caller, after: str, limit: int
    ) -> tuple[list[dict[str, Any]], str, bool]:
        """Return what comes after a position, where to continue, and whether there is more."""
        found: list[dict[str, Any]] = []
        for _ in range(0, MOST_LOOKED_AT, _PIECE):
            entries: Any = self._redis.xrange(self._stream, min=f"({after}", count=_PIECE)
            for after, fields in entries:  # noqa: PLR1704 - the position goes on
                event = json.loads(fields["event"])
                if caller.may_see(event["data"].get("store_id")):
                    found.append(event)
                    if len(found) == limit:
                        return found, after, True
            if len(entries) < _PIECE:
                return found, after, False
        return found, after, True

    def next(self, position: str) -> str:
        """Wait until the stream has grown; returns its newest position."""
        read: Any = self._redis.xread({self._stream: position}, count=1, block=_BLOCK_MS)
        return self.newest() if read else position

    def newest(self) -> str:
        """Return the position of the last event."""
        newest: Any = self._redis.xrevrange(self._stream, count=1)
        return newest[0][0] if newest else "0-0"


class Tail:
    """Tells the requests that wait when the stream has grown; a thread per stream reads."""

    def __init__(self, streams: Sequence[Stream]) -> None:
        self._streams = streams
        self._tasks: list[asyncio.Task[None]] = []
        self.news = asyncio.Event()
        """Is set when the stream has grown; then there is another one."""

    async def start(self) -> None:
        """Begin to read, once."""
        if not self._tasks:
            newest = [await run_in_threadpool(stream.newest) for stream in self._streams]
            pairs = zip(self._streams, newest, strict=True)
            self._tasks = self._tasks or [
                asyncio.create_task(self._follow(*each)) for each in pairs
            ]

    def page(self, caller: Caller, after: str, limit: int) -> dict[str, Any]:
        """Return what comes after a position, of the caller's stores; of one stream after another.

        A position names a place in each stream; one that is missing is the stream's beginning.
        """
        positions, found, has_more = _places(after, len(self._streams)), list[Any](), False
        # The stream that is furthest behind comes first, so that a busy one does not hold it up.
        order = sorted(range(len(positions)), key=lambda place: _number(positions[place]))
        for place in order:
            left = limit - len(found)
            if not left:
                has_more = True
                break
            events, positions[place], more = self._streams[place].page(
                caller, positions[place], left
            )
            found += events
            has_more = has_more or more
        return {"outcomes": found, "after": ",".join(positions), "more": has_more}

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

    async def _follow(self, stream: Stream, position: str) -> None:
        while True:
            try:
                newest = await run_in_threadpool(stream.next, position)
            except redis.RedisError:
                # Those who wait find out for themselves that Redis does not answer.
                newest = ""
                await asyncio.sleep(_SLICE_S)
            if newest != position:
                position = newest or position
                self.news.set()
                self.news = asyncio.Event()


def _places(after: str, count: int) -> list[str]:
    given = after.split(",")
    return [given[place] if place < len(given) else "0-0" for place in range(count)]


def _number(position: str) -> tuple[int, int]:
    at_ms, _, number = position.partition("-")
    return int(at_ms), int(number or 0)


async def _wait(news: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await news.wait()
    except TimeoutError:
        return
