"""The log events about cells: a part of the table in `events.py`."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from worker.observability.event import Event

CELL_EVENTS: Mapping[str, Event] = MappingProxyType(
    {
        "refund.sent_to_cell": Event(
            "info", "A job was sent to the cell in which its store lives.", ("cell",)
        ),
        "store.in_two_cells": Event(
            "error", "Several cells have refunds of a store; a person must decide.", ("cells",)
        ),
        "store.cell_held_back": Event(
            "warning",
            "A store moved into a cell, and may have had another one that Redis has forgotten: its"
            " cell changes nothing at Wix for a while.",
            ("cell", "in_ms"),
        ),
    }
)
