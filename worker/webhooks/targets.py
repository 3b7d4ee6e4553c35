"""The webhooks of the settings, ready to be used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from config.access import ALL_STORES
from config.webhooks import WebhookEntry, secret_keys


@dataclass(frozen=True)
class Target:
    """One webhook: where it leads, and which events it wants."""

    name: str
    url: str = field(repr=False)
    keys: tuple[bytes, ...] = field(repr=False)
    """What signs; each makes a signature, so that the receiver can change to a new one."""
    types: tuple[str, ...]
    stores: frozenset[str]
    allow_private: bool

    @property
    def host(self) -> str:
        """What may be shown of the address: its path may be a secret."""
        return urlsplit(self.url).hostname or ""

    def wants(self, event: Mapping[str, Any]) -> bool:
        """Whether this is an event of its types and of its stores; None stands for all stores.

        A refund whose job names this webhook sends it each of its events.
        """
        data = event["data"]
        store_id = data.get("store_id")
        is_of_store = store_id is None or ALL_STORES in self.stores or store_id in self.stores
        is_named = data.get("callback") == self.name
        return is_of_store and (is_named or any(_matches(event["type"], one) for one in self.types))


def _matches(kind: str, wanted: str) -> bool:
    return wanted in {"*", kind} or (
        wanted.endswith(".*") and kind.startswith(wanted.removesuffix("*"))
    )


def target_of(name: str, entry: WebhookEntry) -> Target:
    """Return a webhook of the settings."""
    return Target(
        name=name,
        url=entry.url.get_secret_value(),
        keys=secret_keys(entry.secret),
        types=entry.types,
        stores=frozenset(entry.stores),
        allow_private=entry.allow_private,
    )
