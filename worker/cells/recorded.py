"""What the front knows of each cell: its installation, so that an emptied cell is noticed.

And whether all stores are paused, which is then true of a cell that is new, too.
"""

from __future__ import annotations

from typing import Any

import redis

from config.settings import Settings
from worker.cells.names import FRONT, cell_of, front_of, namespace_of
from worker.ledger.acts import ALL_STORES
from worker.ledger.connection import redis_client


class RecordedCell:
    """The field of one cell at the front. Raises redis.RedisError if the server does not answer."""

    def __init__(self, url: str, front: str, cell: str) -> None:
        self._url = url
        self._front = front
        self._cell = cell
        self._key = f"{{{front}}}:installation"
        self._field = f"cell:{cell}"

    def known(self) -> str:
        """Return the id of the installation that the cell has had so far, "" if there is none."""
        with redis_client(self._url, namespace=self._front) as client:
            found: Any = client.hget(self._key, self._field)
        return found or ""

    def record(self, installation: str, *, replace: bool = False) -> None:
        """Remember the id of a cell, unless one is known; *replace* it after an adoption."""
        with redis_client(self._url, namespace=self._front) as client:
            if replace:
                client.hset(self._key, self._field, installation)
            else:
                client.hsetnx(self._key, self._field, installation)

    def take_over_pause(self, client: redis.Redis) -> None:
        """Pause all stores of a new or emptied cell, given its client, if those of the front are.

        Whoever paused everything did not know of this cell, but meant it.
        """
        with redis_client(self._url, namespace=self._front) as front:
            pause: Any = front.hget(f"{{{self._front}}}:paused", ALL_STORES)
        if pause:
            client.hsetnx(f"{{{namespace_of(self._front, self._cell)}}}:paused", ALL_STORES, pause)


def recorded_cell(settings: Settings) -> RecordedCell | None:
    """Return what the front knows of the cell of these settings; None for the front itself."""
    cell = cell_of(settings.namespace)
    if cell == FRONT:
        return None
    url, front = settings.redis_url.get_secret_value(), front_of(settings.namespace)
    return RecordedCell(url, front, cell)
