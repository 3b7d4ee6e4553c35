"""The settings of who may use the HTTP API and the console."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, Json, SecretStr

from config.fields import LargestAmounts, no_duplicate_key

#: The name of a producer, or of a webhook.
NAME = r"^[A-Za-z0-9._-]{1,100}$"
#: Stands for all stores, also those that are connected later.
ALL_STORES = "*"


def _store(given: str) -> str:
    return given if given == ALL_STORES else str(UUID(given))


#: A site id, or `*`.
StoreOrAll = Annotated[str, Field(max_length=38), AfterValidator(_store)]


#: The SHA-256 of a token, in hexadecimal digits.
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class ApiProducer(BaseModel):
    """A service that may use the HTTP API: the hashes of its tokens, its stores, and its limit."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    sha256: tuple[Digest, ...] = Field(min_length=1, max_length=10)
    stores: tuple[StoreOrAll, ...] = Field(min_length=1, max_length=10_000)
    limit: LargestAmounts = Field(default_factory=dict)


Producers = Annotated[
    Json[dict[Annotated[str, Field(pattern=NAME)], ApiProducer]], BeforeValidator(no_duplicate_key)
]
EXAMPLE = (
    '{"returns": {"sha256": ["8c0c4ba5cf25dbbd37ca9b41cc7ea3c0a3a22d1a28bfbd4a7c1bd0b0b2c9a6d4"],'
    ' "stores": ["4b296c48-0000-4000-8000-000000000001"]}}'
)


#: What somebody may do in the console: look; also act; also approve.
Role = Literal["view", "act", "approve"]


class ConsoleUser(BaseModel):
    """Who may use the console: the hashes of the tokens, and the role."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    role: Role
    sha256: tuple[Digest, ...] = Field(default=(), max_length=10)
    login: str = Field(default="", max_length=200)
    """What a proxy calls this user, if it is not the name."""


class ConsoleProxy(BaseModel):
    """How a proxy in front of the console says who is signed in."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    header: str = Field(pattern=r"^[A-Za-z][A-Za-z0-9-]{0,60}$")
    """The header that names the user."""
    secret: SecretStr = Field(min_length=32, max_length=200)
    """What the proxy sends in `X-Refunds-Proxy-Secret`, which nobody else knows."""


def _different_people(users: dict[str, ConsoleUser]) -> dict[str, ConsoleUser]:
    """Refuse a token, or a login, that says of two people that it is them."""
    digests = [digest for user in users.values() for digest in user.sha256]
    logins = [user.login or name for name, user in users.items()]
    if len(set(digests)) < len(digests) or len(set(logins)) < len(logins):
        raise ValueError("two people have the same token or login")
    return users


Users = Annotated[
    Json[dict[Annotated[str, Field(pattern=NAME)], ConsoleUser]],
    BeforeValidator(no_duplicate_key),
    AfterValidator(_different_people),
]
Proxy = Annotated[Json[ConsoleProxy | None], BeforeValidator(no_duplicate_key)]
USERS_EXAMPLE = (
    '{"ann": {"sha256": ["8c0c4ba5cf25dbbd37ca9b41cc7ea3c0a3a22d1a28bfbd4a7c1bd0b0b2c9a6d4"],'
    ' "role": "act"}}'
)
