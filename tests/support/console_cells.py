"""A worker of each of three cells, and a console that shows all of them."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.cells import Cells, new_stores
from tests.support.console import ConsoleProgram, console_program
from worker.cells.choosing import choose
from worker.simulator.http.server import serve

#: The field of each form in the tests.
REASON = {"why": "a test"}


def store_in(cell: str) -> str:
    """Return the id of a new store that gets this cell."""
    return next(one for one in new_stores(60) if choose(one, 3) == cell)


@contextmanager
def console_of(cells: Cells, **more: str) -> Iterator[ConsoleProgram]:
    """Run the console over these cells."""
    url = cells.settings.redis_url.get_secret_value()
    given = {"REFUNDS_CELLS": "3", **more}
    with console_program(url, cells.settings.namespace, **given) as program:
        yield program


@contextmanager
def cells_scene(redis_url: str) -> Iterator[tuple[Cells, ConsoleProgram]]:
    """Cells, and a console that asks the same Wix."""
    cells = Cells(redis_url)
    with (
        serve(cells.simulator) as wix_url,
        console_of(cells, REFUNDS_WIX_BASE_URL=wix_url) as program,
    ):
        yield cells, program
    cells.close()


def waiting(cells: Cells, *names: str) -> list[str]:
    """Make a refund in each of these cells; they wait for a key."""
    ids = [cells.request(store_in(cell), f"rf-{cell}-{uuid.uuid4().hex[:8]}") for cell in names]
    cells.run()
    return ids


def dead_in(cells: Cells, *names: str) -> list[str]:
    """Make a dead letter in each of these cells."""
    ids = waiting(cells, *names)
    for cell, each in zip(names, ids, strict=True):
        reason = {"reason": "store_unknown"}
        cells.rigs[cell].stores.bury(cells.load(each), reason=reason, line={"event": "buried"})
    return ids
