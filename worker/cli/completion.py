"""What Tab completes from the ledger: bounded and quick, and silent if Redis does not answer."""

from __future__ import annotations

import os
from typing import Any

import redis
from dramatiq.errors import ConnectionClosed

from config.loading import SettingsError, load_settings
from worker.ledger.connection import redis_client
from worker.operations.archive.folder import ArchiveProblem, Folder
from worker.operations.archive.reading import Reading

#: How many of the newest ids are looked at.
NEWEST = 1_000
#: How many are offered.
MOST = 50
#: How long Redis may take.
WAIT_S = 1.0


def refund_ids(incomplete: str) -> list[str]:
    """Return the newest refunds whose ids begin like this."""
    return _newest(incomplete, "accepted")


def dead_ids(incomplete: str) -> list[str]:
    """Return the newest dead letters whose ids begin like this."""
    return _newest(incomplete, "dead")


def store_ids(incomplete: str) -> list[str]:
    """Return the connected stores whose ids begin like this, the newest first."""
    return _newest(incomplete, "stores")


def archived_ids(incomplete: str) -> list[str]:
    """Return refunds of the archive that ended last and whose ids begin like this."""
    try:
        given = load_settings(os.environ)
        reading = Reading(Folder(given.archive)) if given.archive else None
        ids = reading.newest_ids(NEWEST) if reading else []
    except (SettingsError, ArchiveProblem):
        return []
    return [refund_id for refund_id in ids if refund_id.startswith(incomplete)][:MOST]


def _newest(incomplete: str, name: str) -> list[str]:
    try:
        given = load_settings(os.environ)
        url = given.redis_url.get_secret_value()
        with redis_client(url, namespace=given.namespace, tries=1, timeout_s=WAIT_S) as client:
            ids: Any = client.zrevrange(f"{{{given.namespace}}}:{name}", 0, NEWEST - 1)
    except (SettingsError, redis.RedisError, ConnectionClosed):
        return []
    return [one for one in ids if one.startswith(incomplete)][:MOST]
