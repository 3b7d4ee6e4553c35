"""The types of settings that need more than one of Python's."""

from __future__ import annotations

import json
import os
import re
import ssl
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit
from uuid import UUID

from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    field_validator,
)

from config.urls import check_redis_url


def utc(moment: datetime) -> datetime:
    """Return a time in UTC."""
    return moment.astimezone(UTC)


#: A Fernet key: 32 bytes in URL-safe base64.
_VAULT_KEY = re.compile(r"[A-Za-z0-9_-]{43}=")


def vault_keys(given: SecretStr) -> SecretStr:
    """Check that these are keys of the vault."""
    keys = [key.strip() for key in given.get_secret_value().split(",")]
    if not all(_VAULT_KEY.fullmatch(key) for key in keys):
        raise ValueError(
            "expected one or more comma-separated keys of exactly 44 characters;"
            " `refunds stores keygen` generates one"
        )
    return SecretStr(",".join(keys))


def redis_url(given: SecretStr) -> SecretStr:
    """Check the address of Redis."""
    return SecretStr(check_redis_url(given.get_secret_value()))


def no_trailing_slash(url: str) -> str:
    """Return an address without a slash at its end."""
    return url.rstrip("/")


def no_duplicate_key(text: object) -> object:
    """Refuse a JSON object with a duplicate key: it is not clear which value is meant."""

    def once(pairs: list[tuple[str, object]]) -> dict[str, object]:
        if len(dict(pairs)) < len(pairs):
            raise ValueError("an object has a duplicate key")
        return dict(pairs)

    if isinstance(text, str):
        with suppress(json.JSONDecodeError):
            json.loads(text, object_pairs_hook=once)
    return text


class StoreEntry(BaseModel):
    """What the worker needs to call Wix for one store."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    account_id: str = Field(min_length=1, max_length=100)
    api_key: SecretStr = Field(min_length=1, validation_alias=AliasChoices("api_key", "key"))


#: In the place of a store id: any store.
EVERY_STORE = "*"
_SHORTEST_KEY = 32
_AMOUNT = re.compile(r"[0-9]{1,15}(\.[0-9]{1,4})?")
_CURRENCY = re.compile("[A-Z]{3}")


def _amounts(limit: dict[str, str]) -> dict[str, str]:
    for currency, amount in limit.items():
        if not _CURRENCY.fullmatch(currency) or not _AMOUNT.fullmatch(amount):
            raise ValueError('must be amounts in quotes by currency, like {"EUR": "250.00"}')
    return limit


#: The largest amount of one refund, by currency; {} for any.
LargestAmounts = Annotated[dict[str, str], AfterValidator(_amounts)]


class ProducerEntry(BaseModel):
    """A service that may send jobs: its keys, its stores, and its limit per refund."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    keys: tuple[SecretStr, ...] = Field(min_length=1, max_length=10)
    allow: tuple[str, ...] = Field(min_length=1)
    limit: LargestAmounts = Field(default_factory=dict)

    @field_validator("keys")
    @classmethod
    def _long_keys(cls, keys: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        if any(len(key.get_secret_value()) < _SHORTEST_KEY for key in keys):
            raise ValueError(f"a key must have at least {_SHORTEST_KEY} characters")
        return keys

    @field_validator("allow")
    @classmethod
    def _store_ids(cls, ids: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(one if one == EVERY_STORE else str(UUID(one)) for one in ids)

    def allows(self, store_id: str) -> bool:
        """Whether the producer may refund orders of a store."""
        return EVERY_STORE in self.allow or store_id in self.allow


Milliseconds = Annotated[int, Field(ge=0, le=86_400_000)]


def _cores(value: object) -> object:
    """Replace "auto" by the number of cores that this process may use."""
    if value != "auto":
        if not str(value).isdecimal():
            raise ValueError("expected a number of processes, or auto")
        return value
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, min(usable or 1, 64))


Cores = Annotated[int, BeforeValidator(_cores)]


def proxy(given: SecretStr) -> SecretStr:
    """Check the address of a proxy; no error repeats it, because it may hold a password."""
    text = given.get_secret_value().strip().rstrip("/")
    try:
        parts = urlsplit(text)
        is_fine = parts.scheme == "http" and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_fine = False
    if not is_fine or parts.path or parts.query:
        raise ValueError("expected http://HOST:PORT, or with USER:PASSWORD@ in front of the host")
    return SecretStr(text)


def certificates(path: Path) -> Path:
    """Check that a file holds certificates."""
    try:
        ssl.create_default_context(cafile=str(path))
    except ssl.SSLError:
        raise ValueError(f"{path} holds no certificate in PEM format") from None
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from None
    return path
