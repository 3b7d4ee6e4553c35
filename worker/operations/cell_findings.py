"""What `refunds doctor` says about a cell."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from config.settings import Settings
from worker.cells.directory import Directory
from worker.cells.names import FRONT, all_cells, cell_of
from worker.operations.finding import Finding

#: How many stores are named.
NAMED = 3


def cell_findings(given: Settings, directory: Directory) -> Iterator[Finding]:
    """Check the cell that these are the settings of; nothing where there is one ledger."""
    if given.cells == 1:
        return
    cell = cell_of(given.namespace)
    strays = list(islice(directory.strays(cell), NAMED)) if cell != FRONT else []
    for store_id, home in strays:
        text = f"cell {cell} has store {store_id}, which is in cell {home} by the directory"
        todo = "write into the directory which cell is right: worker/cells/README.md"
        yield Finding("cells", "failed", text, todo)
    if not strays:
        limits = [given.guard_all_hour, given.guard_all_day]
        named = "; ".join(limit for limit in limits if limit)
        share = f"; its share of the limits for all stores is {named}" if named else ""
        count = len(all_cells(given.cells)) - 1
        yield Finding("cells", "ok", f"{cell}, of {count} cells and the front{share}")
