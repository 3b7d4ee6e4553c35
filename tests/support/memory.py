"""How much memory a key takes, whatever free blocks the allocator finds for it."""

from __future__ import annotations

from tests.support.rig import Rig

#: libc's allocator gives more than was asked for when it uses a free block again whose rest would
#: be too small, and there may be many such blocks. So the smallest of many copies counts.
COPIES = 300


def bytes_of(rig: Rig, key: str) -> int:
    """Return the number of bytes that a key takes."""
    copies = [f"{key[:-4]}~{n:03}" for n in range(COPIES)]
    with rig.redis.pipeline(transaction=False) as pipe:
        for copy in copies:
            pipe.copy(key, copy)
        assert all(pipe.execute())
        for copy in copies:
            pipe.memory_usage(copy, samples=0)
        sizes = pipe.execute()
    rig.redis.delete(*copies)
    return int(min(sizes))
