"""Record in the audit log that a worker started with other settings than the one before."""

from __future__ import annotations

import hashlib
import json
import socket
from typing import Any

import redis
from pydantic import SecretStr

from config.fields import ProducerEntry, StoreEntry
from config.loading import variable
from config.settings import Settings
from worker.ledger.audit_log import AuditLog, Operator
from worker.ledger.lanes import LaneRules
from worker.ledger.memory import place_of
from worker.ledger.scripts import load_scripts

#: Begins the names of the fields that hold the digest of one setting.
_OF = "of:"
#: How many hexadecimal digits of a digest are kept: enough to see that a value changed.
DIGITS = 12
#: Settings of one machine or person, not of the worker.
_OWN = frozenset({"operator", "log_format", "log_level", "state_dir"})
#: How many times to look again when several workers start at once.
TRIES = 20


def note_settings(client: redis.Redis, settings: Settings) -> None:
    """Remember digests of the settings; if they changed, record which, and who started."""
    ns = f"{{{settings.namespace}}}"
    given = digests(settings, str(place_of(client, settings.namespace)))
    whole = _digest(json.dumps(given, sort_keys=True))
    names = ("settings",)
    [script] = load_scripts(
        client, names, namespace=settings.namespace, lanes=LaneRules(1)
    ).values()
    log = AuditLog(client, ns)
    for _ in range(TRIES):
        known: Any = client.hgetall(f"{ns}:settings")
        before = known.get("digest", "")
        changed = [name for name in given if given[name] != known.get(_OF + name)]
        act = Operator(f"a worker on {socket.gethostname()}").act(
            "settings.changed",
            "",
            {"digest": before},
            {"digest": whole, "names": [variable(name) for name in changed]},
        )
        arguments = {"digest": whole, "before": before, "settings": given}
        if log.call(script, arguments, act if before and before != whole else None):
            return


def digests(settings: Settings, place: str) -> dict[str, str]:
    """Return a short digest of each setting.

    The *place* of the ledger stands for its address, which may hold a password: one that is short
    could be guessed from its digest. API keys and vault keys are long and random.
    """
    names = [name for name in sorted(type(settings).model_fields) if name not in _OWN]
    values = {name: _plain(getattr(settings, name)) for name in names} | {"redis_url": place}
    return {name: _digest(value) for name, value in values.items()}


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:DIGITS]


def _plain(value: object) -> str:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, ProducerEntry):
        keys = " ".join(key.get_secret_value() for key in value.keys)
        return f"{keys} {value.allow} {sorted(value.limit.items())}"
    if isinstance(value, StoreEntry):
        return f"{value.account_id} {value.api_key.get_secret_value()}"
    if isinstance(value, dict):
        return json.dumps({name: _plain(each) for name, each in sorted(value.items())})
    return str(value)
