"""Which letters are meant by the marks that take the place of their ids in links and forms."""

from __future__ import annotations

import re
from collections.abc import Iterable

from worker.console.desk import Desk
from worker.console.rendering import marked

_MARK = re.compile(r"masked-[0-9a-f]{16}")


def ids_of(desk: Desk, given: Iterable[str]) -> list[str]:
    """Return the ids of what was marked; a mark stays as it is if there is no such letter."""
    wanted = list(given)
    if not any(map(_MARK.fullmatch, wanted)):
        return wanted
    by_mark = {marked(letter_id): letter_id for letter_id in desk.broker.quarantined()}
    return [by_mark.get(one, one) for one in wanted]


def id_of(desk: Desk, given: str) -> str:
    """Return one id."""
    [found] = ids_of(desk, [given])
    return found
