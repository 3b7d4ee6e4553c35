"""The names of cells, and the namespace of each: {refunds} is the front, {refunds:0} a cell."""

from __future__ import annotations

#: The cell to which jobs are sent. It knows where each store is; stores that were there before
#: there were other cells stay.
FRONT = "front"
_SEPARATOR = ":"


def front_of(namespace: str) -> str:
    """Return the namespace of the front, given that of any cell."""
    return namespace.partition(_SEPARATOR)[0]


def cell_of(namespace: str) -> str:
    """Return the name of the cell that has this namespace."""
    return namespace.partition(_SEPARATOR)[2] or FRONT


def namespace_of(front: str, cell: str) -> str:
    """Return the namespace of a cell, given that of the front."""
    return front if cell == FRONT else f"{front}{_SEPARATOR}{cell}"


def all_cells(count: int) -> tuple[str, ...]:
    """Return the names of all cells, the front first; REFUNDS_CELLS=1 is the front alone."""
    return (FRONT, *map(str, range(count))) if count > 1 else (FRONT,)
