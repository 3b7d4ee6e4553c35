"""The client of Redis, as in upstream's wheel."""

from worker.upstream.connection import redis_client

__all__ = ["redis_client"]
