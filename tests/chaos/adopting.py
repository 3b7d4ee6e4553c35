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
from worker.cells.names import FRONT
from worker.ledger.audit_log import Operator
from worker.ledger.installation import find_installation
from worker.ledger.refunds import Ledger

_PERSON = Operator("chaos", "its server crashed")


def adopt_emptied(cells: Mapping[str, tuple[Settings, Ledger]]) -> int:
    """Adopt the cells that are empty, and that workers refuse for it; returns how many."""
    adopted = 0
    for cell, (settings, ledger) in cells.items():
        with suppress(redis.RedisError):  # a server is down: the next time
            membership = membership_from(settings, ledger._redis)
            is_empty = find_installation(ledger._redis, settings.namespace) is None
            is_refused = any(one.level == "refused" for one in membership.findings())
            if cell != FRONT and is_empty and is_refused:
                membership.adopt(_PERSON)
                adopted += 1
    return adopted
