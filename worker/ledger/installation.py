"""The installation: which ledger this is, in the ledger itself.

A worker that belongs to one installation does nothing in the ledger of another (lua/prelude.lua).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import redis

from statemachine.flows import ACTIVE
from worker.ledger.audit_log import Act, AuditLog
from worker.ledger.lanes import LaneRules
from worker.ledger.scripts import load_scripts

#: Begins the names of the fields for `Installation.replaces`.
_REPLACES = "replaces:"


@dataclass(frozen=True, kw_only=True)
class Installation:
    """What the ledger says about itself."""

    id: str
    created_at_ms: int
    cutoff: str
    """REFUNDS_CUTOFF of the worker that started last; ISO 8601."""
    previous_cutoff: str
    """The one before it, "" if it never changed."""
    cutoff_changed_at_ms: int
    cells: int
    """The number of cells in which stores live; 1 for this ledger alone."""
    replaces: frozenset[str]
    """Other installations: workers that belonged to them belong to this one."""

    def is_for(self, installation: str) -> bool:
        """Whether a worker of *installation* may work here."""
        return installation == self.id or installation in self.replaces


def find_installation(client: redis.Redis, namespace: str) -> Installation | None:
    """Return the ledger's installation; None if it has none, because it is new, empty or old."""
    fields: Any = client.hgetall(f"{{{namespace}}}:installation")
    return _from(fields) if fields.get("id") else None


def install(
    client: redis.Redis,
    namespace: str,
    *,
    new_id: str,
    cutoff: datetime,
    adopt: bool = False,
    replaces: str = "",
    act: Act | None = None,
) -> Installation:
    """Record the cutoff; give a ledger without an id *new_id*. *act* is who adopts it.

    With *adopt*, nothing is changed at Wix for the settle delay: the ledger before this one may
    have known of a call that is still under way.
    """
    # The script uses no lane.
    scripts = load_scripts(client, ("install",), namespace=namespace, lanes=LaneRules(1))
    given = {
        "new_id": new_id,
        "cutoff": cutoff.isoformat(),
        "adopt": adopt,
        "replaces": replaces,
    }
    flat: Any = AuditLog(client, f"{{{namespace}}}").call(scripts["install"], given, act)
    return _from(dict(zip(flat[::2], flat[1::2], strict=True)))


def count_unfinished(
    client: redis.Redis, namespace: str, *, accepted_until_ms: int | str = "+inf"
) -> int:
    """Count the refunds in flight that were accepted until this time."""
    with client.pipeline(transaction=False) as pipe:
        for state in sorted(ACTIVE):
            pipe.zcount(f"{{{namespace}}}:state:{state}", "-inf", accepted_until_ms)
        return sum(pipe.execute())


def count_elsewhere(client: redis.Redis, database: int, namespace: str, installation: str) -> int:
    """Count the refunds in flight of an installation in another ledger of the same server."""
    pool = client.connection_pool
    given = pool.connection_kwargs | {"db": database}
    with redis.Redis(
        connection_pool=redis.ConnectionPool(connection_class=pool.connection_class, **given)
    ) as other:
        try:
            found = find_installation(other, namespace)
            is_there = found is not None and found.id == installation
            return count_unfinished(other, namespace) if is_there else 0
        except redis.ResponseError:  # the database or its keys are not for us
            return 0
        finally:
            other.connection_pool.disconnect()


def _from(fields: dict[str, str]) -> Installation:
    return Installation(
        id=fields["id"],
        created_at_ms=int(fields.get("created_at_ms", 0)),
        cutoff=fields.get("cutoff", ""),
        previous_cutoff=fields.get("previous_cutoff", ""),
        cutoff_changed_at_ms=int(fields.get("cutoff_changed_at_ms", 0)),
        cells=int(fields.get("cells", 1)),
        replaces=frozenset(x.removeprefix(_REPLACES) for x in fields if x.startswith(_REPLACES)),
    )
