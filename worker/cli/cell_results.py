"""Join what a command says of each cell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import typer


class NothingToDo(typer.Exit):
    """A cell has nothing that an act selects."""


def join_documents(by_cell: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
    """Return one JSON document for the documents of all cells.

    Lists are joined, and each of their objects names its `cell`; the rest is below `cells`.
    """
    told = {cell: documents[-1] for cell, documents in by_cell.items() if documents}
    joined: dict[str, Any] = {"ok": all(one.get("ok", True) for one in told.values())}
    for cell, document in told.items():
        for name, value in document.items():
            if isinstance(value, list):
                joined.setdefault(name, []).extend(_of_cell(cell, row) for row in value)
    rest = {
        cell: {name: value for name, value in one.items() if not isinstance(value, list)}
        for cell, one in told.items()
    }
    return joined | {"cells": rest}


def _of_cell(cell: str, row: Any) -> Any:
    return {**row, "cell": cell} if isinstance(row, dict) else row
