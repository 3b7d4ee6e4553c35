"""What `refunds doctor` says about a cell."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice

from config.guards import EVERY_STORE, parse_limits
from config.loading import variable
from config.settings import Settings
from worker.cells.directory import Directory
from worker.cells.names import FRONT, all_cells, cell_of
from worker.operations.finding import Finding

#: How many stores are named.
NAMED = 3


def cell_findings(
    given: Settings, directory: Directory, limits: Mapping[str, str | None]
) -> Iterator[Finding]:
    """Check the cell that these are the settings of; nothing where there is one ledger.

    *limits* are those for all stores together, by setting, before each cell gets its share.
    """
    if given.cells == 1:
        return
    cell = cell_of(given.namespace)
    if cell == FRONT:
        yield from _limit_findings(limits, len(all_cells(given.cells)))
    strays = list(islice(directory.strays(cell), NAMED)) if cell != FRONT else []
    for store_id, home in strays:
        text = f"cell {cell} has store {store_id}, which is in cell {home} by the directory"
        todo = "write into the directory which cell is right: worker/cells/README.md"
        yield Finding("cells", "failed", text, todo)
    if not strays:
        shares = [given.guard_all_hour, given.guard_all_day]
        named = "; ".join(one for one in shares if one)
        share = f"; its share of the limits for all stores is {named}" if named else ""
        count = len(all_cells(given.cells)) - 1
        yield Finding("cells", "ok", f"{cell}, of {count} cells and the front{share}")


def _limit_findings(limits: Mapping[str, str | None], ledgers: int) -> Iterator[Finding]:
    """Name a limit of which each ledger has more than its share, because it is at least one."""
    for name, text in limits.items():
        count = parse_limits(text)[EVERY_STORE].count if text else None
        if count and count < ledgers:
            said = (
                f"{variable(name)} allows {count} refunds, and the front and each cell let one"
                f" pass: together up to {ledgers} refunds"
            )
            yield Finding("cells", "warning", said, f"allow at least {ledgers} refunds, or none")
