"""Choose the cell of a new store."""

from __future__ import annotations

import hashlib


def choose(store_id: str, count: int) -> str:
    """Return the cell of a store that has none yet, of this many (rendezvous hashing).

    Each process chooses the same. One cell more would get its share of the stores, and no store
    would change between the others.
    """
    return max(map(str, range(count)), key=lambda cell: _weight(cell, store_id))


def _weight(cell: str, store_id: str) -> bytes:
    return hashlib.blake2b(f"{cell}/{store_id}".encode(), digest_size=16).digest()
