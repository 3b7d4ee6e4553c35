"""The settings of who may use the HTTP API."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, Json

from config.fields import LargestAmounts, no_duplicate_key

#: The name of a producer, or of a webhook.
NAME = r"^[A-Za-z0-9._-]{1,100}$"
#: Stands for all stores, also those that are connected later.
ALL_STORES = "*"


def _store(given: str) -> str:
    return given if given == ALL_STORES else str(UUID(given))


#: A site id, or `*`.
StoreOrAll = Annotated[str, Field(max_length=38), AfterValidator(_store)]


class ApiProducer(BaseModel):
    """A service that may use the HTTP API: the hashes of its tokens, its stores, and its limit."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    sha256: tuple[Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")], ...] = Field(
        min_length=1, max_length=10
    )
    stores: tuple[StoreOrAll, ...] = Field(min_length=1, max_length=10_000)
    limit: LargestAmounts = Field(default_factory=dict)


Producers = Annotated[
    Json[dict[Annotated[str, Field(pattern=NAME)], ApiProducer]], BeforeValidator(no_duplicate_key)
]
EXAMPLE = (
    '{"returns": {"sha256": ["8c0c4ba5cf25dbbd37ca9b41cc7ea3c0a3a22d1a28bfbd4a7c1bd0b0b2c9a6d4"],'
    ' "stores": ["4b296c48-0000-4000-8000-000000000001"]}}'
)
