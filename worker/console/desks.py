"""The desks of all cells: where something is, and what all of them say together.

Without cells, or with `refunds --cell`, there is one desk, and everything is asked of it alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from copy import copy
from functools import wraps
from typing import Any, TypeVar

import redis
from starlette.responses import Response

from worker.cells.finding import Finder, has_queued, has_refund
from worker.cells.names import FRONT
from worker.console.desk import Desk, Visit
from worker.console.plots import Trends
from worker.console.refusals import NOT_KNOWN, Refusal
from worker.errors import OtherLedger, StoreInTwoCells
from worker.observability.events import log_event
from worker.operations.joined_status import add_up
from worker.queue.server_errors import explain

T = TypeVar("T")
#: How long a cell that did not answer is not asked again for a page about all cells.
AWAY_S = 10.0
ADDED = "Cell {} was added, and is not shown: the console must be started again."
NO_CELL = "It is not known in which cell this store is."
#: What a cell raises that is not as it should be, and what one that cannot be reached.
LOST = (redis.RedisError, OtherLedger)
NOT_REACHED = (redis.ConnectionError, redis.TimeoutError)


class Desks:
    """One desk, or that of each cell by its name."""

    def __init__(
        self,
        by_cell: Mapping[str, Desk],
        finder: Callable[[], Finder] | None = None,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._by_cell = dict(by_cell)
        #: Looks into the directory; None where there is one desk.
        self._finder = finder
        self._now_s = now_s
        self._away: dict[str, tuple[float, str]] = {}
        self.problems: dict[str, str] = {}
        """By cell: why it is missing in what is shown."""
        self.knows_added = False
        """Whether the cells that were added since the start are among the problems."""
        self.trends = Trends(self.read_status)

    def for_visit(self, visit: Visit) -> Desks:
        """Return the same desks, which tell one visit what is missing."""
        mine = copy(self)
        mine.problems, mine.knows_added = visit.problems, False
        return mine

    @property
    def first(self) -> Desk:
        """The only desk, or that of the front."""
        return next(iter(self._by_cell.values()))

    @property
    def cells(self) -> tuple[str, ...]:
        """The names of the cells; none where there is one desk."""
        return tuple(self._by_cell) if len(self._by_cell) > 1 else ()

    def of(self, cell: str) -> Desk:
        """Return the desk of the cell that a link or a form names.

        Raises:
            Refusal: there is no such cell.
        """
        if not self.cells:
            return self.first
        if cell not in self._by_cell:
            raise Refusal(404, "There is no such cell.")
        return self._by_cell[cell]

    def each(
        self,
        look: Callable[[Desk], T],
        *,
        among: Iterable[str] | None = None,
        is_act: bool = False,
    ) -> dict[str, T]:
        """Return what each desk says, or those *among* all, by cell.

        A cell that does not answer is left out, and becomes a problem of the visit, as does one
        that was added. One that did not answer a moment ago is only asked for an act.

        Raises:
            Refusal: no cell answers.
        """
        if not self.cells:
            return {"": look(self.first)}
        found, problems = dict[str, T](), dict[str, str]()
        for cell in self.cells if among is None else among:
            until_s, text = self._away.get(cell, (0.0, ""))
            if text and self._now_s() < until_s and not is_act:
                problems[cell] = text
                continue
            if text:  # whoever looks meanwhile does not wait, too
                self._away[cell] = (self._now_s() + AWAY_S, text)
            try:
                found[cell] = look(self._by_cell[cell])
            except LOST as error:
                text = f"Cell {cell}: {text_of(error, is_act=False)}"
                problems[cell] = f"Cell {cell}: {text_of(error, is_act=is_act)}"
                log_event("console.redis_lost", error=text)
                if isinstance(error, NOT_REACHED):
                    self._away[cell] = (self._now_s() + AWAY_S, text)
                    continue
            self._away.pop(cell, None)
        self.problems |= problems
        if problems and not found:
            raise _unknown(problems)
        self._name_added()
        return found

    def _name_added(self) -> None:
        """Make problems of the cells that were added since the start, once for each visit."""
        if self._finder is None or self.knows_added or FRONT in self.problems:
            return
        self.knows_added = True
        with suppress(redis.RedisError):
            added = [cell for cell in self._finder().cells if cell not in self._by_cell]
            self.problems |= {cell: ADDED.format(cell) for cell in added}

    def with_refund(self, cell: str, refund_id: str) -> Desk:
        """Return the desk of a refund, a letter or a queued job; the first if none has it."""

        def look(desk: Desk) -> tuple[bool, bool]:
            given = (desk.broker.client, desk.broker.namespace, refund_id)
            return bool(has_refund(*given)), bool(has_queued(*given))

        if cell or not self.cells:
            return self.of(cell)
        told = self.each(look)
        cells = [cell for cell, (is_there, _) in told.items() if is_there]
        return self._the_only(cells or [cell for cell, (_, queued) in told.items() if queued])

    def with_job(self, cell: str, job_id: str) -> Desk:
        """Return the desk of a bulk act; the first if none has it."""
        if cell or not self.cells:
            return self.of(cell)
        told = self.each(lambda desk: desk.jobs.find(job_id))
        return self._the_only([cell for cell, job in told.items() if job])

    def with_store(self, store_id: str, *, settles: bool = False) -> Desk:
        """Return the desk of a store, which the directory knows; the first if it does not.

        With *settles* a store of REFUNDS_STORES that has no cell yet gets one, for what must hold
        there later.

        Raises:
            Refusal: it cannot be looked up, or several cells have its refunds.
        """
        if self._finder is None or not self.cells:
            return self.first
        is_partial = bool(self.problems.keys() & self._by_cell.keys())
        if FRONT in self.problems:
            raise Refusal(503, NO_CELL)
        try:
            find, given = self._finder(), self.first.wix.keyring.given
            if settles and store_id in given:
                cell: str | None = find.home(store_id)
            elif is_partial:  # all cells would be asked about a store that is not recorded
                cell = find.recorded(store_id)
            else:
                cell = find.of_store(store_id) or FRONT
        except StoreInTwoCells as error:
            known = " and ".join(error.cells)
            text = f"This store is in the cells {known}: use the commands, with refunds --cell."
            raise Refusal(409, text) from None
        except redis.RedisError as error:
            raise Refusal(503, f"{NO_CELL} {explain(error)}") from None
        if not cell:
            raise Refusal(503, NO_CELL)
        if cell not in self._by_cell:
            raise Refusal(503, ADDED.format(cell))
        return self._by_cell[cell]

    def read_status(self, minutes: int) -> dict[str, Any]:
        """Return the status with the counts of so many minutes; of all cells, added up."""
        if not self.cells:
            return self.first.read_status(minutes)
        by_cell = self.each(lambda desk: desk.read_status(minutes))
        told = add_up(by_cell)
        told["needs"][:0] = [
            {"text": f"Cell {cell} is missing below", "command": f"refunds --cell {cell} doctor"}
            for cell in self.cells
            if cell not in by_cell
        ]
        return told | {"ok": not told["needs"]}

    def _the_only(self, found: list[str]) -> Desk:
        if len(found) > 1:
            text = f"It is in the cells {' and '.join(found)}: open it from a list."
            raise Refusal(409, text)
        if self.problems and not found:
            raise _unknown(self.problems)
        return self._by_cell[found[0]] if found else self.first


def _unknown(problems: Mapping[str, str]) -> Refusal:
    return Refusal(503, " ".join(problems.values()), {"Retry-After": "5"})


@contextmanager
def naming(desk: Desk) -> Iterator[None]:
    """Let an error say which cell does not answer."""
    try:
        yield
    except LOST as error:
        if desk.cell:
            error.add_note(f"Cell {desk.cell}:")
        raise


def text_of(error: Exception, *, is_act: bool) -> str:
    """Return what a lost server or ledger means, with its cell if it is known."""
    text = str(error) if isinstance(error, OtherLedger) else explain(error)
    is_lost = isinstance(error, NOT_REACHED)
    notes = getattr(error, "__notes__", ())
    return " ".join([*notes, text, *([NOT_KNOWN] if is_act and is_lost else [])])


def at(
    find: Callable[[Desks, Visit], Desk], run: Callable[[Desk, Visit], Response]
) -> Callable[[Desks, Visit], Response]:
    """Return a page about one thing, which is shown from the desk where it is."""

    @wraps(run)
    def inner(desks: Desks, visit: Visit) -> Response:
        desk = find(desks, visit)
        with naming(desk):
            return run(desk, visit)

    return inner
