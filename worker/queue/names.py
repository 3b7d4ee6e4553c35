"""The names of the queues, and what is common to their messages."""

from __future__ import annotations

from worker.upstream import wire

#: The queue of upstream's jobs, and the queue of our own messages.
INTAKE, STEPS = wire.INTAKE, "steps"
QUEUES = (INTAKE, STEPS)

#: Maximum number of characters of a message that its letter keeps.
MAX_LETTER = 20_000
