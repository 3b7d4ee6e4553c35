"""What a person does in a chaos run: adopt a new cell that a crash has emptied.

A cell whose server forgets the second in which its first worker started has lost its installation.
Workers refuse it like any emptied ledger.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

import redis

from config.settings import Settings
from worker.app import membership_from
from worker.cells.recorded import recorded_cell
from worker.ledger.audit_log import Operator
from worker.ledger.installation import find_installation
from worker.ledger.refunds import Ledger

_PERSON = Operator("chaos", "its server crashed")


def adopt_emptied(cells: Mapping[str, tuple[Settings, Ledger]]) -> int:
    """Adopt the cells that the front knows and that are empty now; returns how many."""
    adopted = 0
    for settings, ledger in cells.values():
        with suppress(redis.RedisError):  # a server is down: the next time
            recorded = recorded_cell(settings)
            is_known = recorded is not None and recorded.known() != ""
            if is_known and find_installation(ledger._redis, settings.namespace) is None:
                membership_from(settings, ledger._redis).adopt(_PERSON)
                adopted += 1
    return adopted
