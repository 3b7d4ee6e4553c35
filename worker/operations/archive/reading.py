"""Finds refunds in the archive."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import NamedTuple

from worker.operations.archive.entry import Archived, archived_from, day_of
from worker.operations.archive.folder import ArchiveProblem, Folder


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What to find: all that is given must match."""

    refund_id: str = ""
    order_id: str = ""
    store_id: str = ""
    since_ms: int = 0
    """When it ended at the earliest, unix ms; 0 for any time."""
    until_ms: int = 0
    """When it ended at the latest, unix ms; 0 for any time."""
    day: date | None = None
    """The day (UTC) on which it ended, if it is known."""

    def includes(self, one: Archived) -> bool:
        """Whether this refund is wanted."""
        ended_at_ms = int(one.told["ended_at_ms"])
        return (
            all(one.told[name] == value for name, value in self._ids().items())
            and ended_at_ms >= self.since_ms
            and (not self.until_ms or ended_at_ms <= self.until_ms)
        )

    def marks(self) -> list[str]:
        """Return texts that each wanted line contains: to look at a line before it is parsed."""
        return [f'"{name}":{json.dumps(value)}' for name, value in self._ids().items()]

    def days(self, folder: Folder) -> list[date]:
        """Return the days to look at, oldest first."""
        first = day_of(self.since_ms) if self.since_ms else date.min
        last = day_of(self.until_ms) if self.until_ms else date.max
        return [d for d in folder.days() if first <= d <= last and self.day in {None, d}]

    def _ids(self) -> dict[str, str]:
        given = {
            "refund_id": self.refund_id,
            "order_id": self.order_id,
            "store_id": self.store_id,
        }
        return {name: value for name, value in given.items() if value}


class Place(NamedTuple):
    """A refund, and the file that has it."""

    archived: Archived
    path: Path


@dataclass
class Reading:
    """Reads an archive; what cannot be read is remembered, and the rest is still found."""

    folder: Folder
    problems: list[str] = field(default_factory=list)
    """What could not be read, and why."""

    def find(self, wanted: Wanted, *, newest: bool = False) -> Iterator[Place]:
        """Yield what is wanted, by the day on which it ended; one that is there twice only once."""
        try:
            days = wanted.days(self.folder)
            for day in reversed(days) if newest else days:
                yield from self._of_day(day, wanted)
        except ArchiveProblem as problem:
            self.problems.append(str(problem))

    def _of_day(self, day: date, wanted: Wanted) -> Iterator[Place]:
        seen: set[tuple[str, int]] = set()
        for path in self.folder.files(day):
            for one in self._read(path, wanted):
                if (one.refund_id, one.version) not in seen:
                    seen.add((one.refund_id, one.version))
                    yield Place(one, path)

    def one(self, refund_id: str, day: date | None = None) -> Place | None:
        """Return a refund as it was at last, None if the archive does not have it."""
        found = list(self.find(Wanted(refund_id=refund_id, day=day)))
        return max(found, key=lambda place: place.archived.version, default=None)

    def newest_ids(self, limit: int) -> list[str]:
        """Return some of the ids that ended last: those of a file of the newest day."""
        with suppress(IndexError):
            path = self.folder.files(self.folder.days()[-1])[-1]
            return [one.refund_id for one in self._read(path, Wanted())][:limit]
        return []

    def _read(self, path: Path, wanted: Wanted) -> Iterator[Archived]:
        marks = wanted.marks()
        try:
            for line in self.folder.lines(path):
                if all(mark in line for mark in marks):
                    one = archived_from(line)
                    if wanted.includes(one):
                        yield one
        except ArchiveProblem as problem:
            self.problems.append(str(problem))
        except (ValueError, KeyError) as error:
            self.problems.append(f"{path} is damaged: {type(error).__name__}")
