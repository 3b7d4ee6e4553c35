"""The settings of a webhook: where outcomes are sent."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    Json,
    SecretStr,
    model_validator,
)

from config.access import NAME, StoreOrAll
from config.fields import no_duplicate_key
from config.urls import is_unencrypted

#: The beginning of a secret, and how many bytes follow in base64, as in Standard Webhooks.
SECRET_PREFIX = "whsec_"  # noqa: S105 - only its beginning
FEWEST_BYTES, MOST_BYTES = 24, 64


def secret_keys(given: SecretStr) -> tuple[bytes, ...]:
    """Return the keys of a setting: one or more, comma-separated, newest first.

    Raises:
        ValueError: one of them is no secret of Standard Webhooks.
    """
    keys = []
    for text in given.get_secret_value().split(","):
        try:
            key = base64.b64decode(text.strip().removeprefix(SECRET_PREFIX), validate=True)
        except binascii.Error:
            key = b""
        if not text.strip().startswith(SECRET_PREFIX) or not FEWEST_BYTES <= len(key) <= MOST_BYTES:
            raise ValueError(
                f"a secret is {SECRET_PREFIX} and {FEWEST_BYTES} to {MOST_BYTES} bytes in base64;"
                " `refunds webhooks secret` makes one"
            )
        keys.append(key)
    return tuple(keys)


def _checked(given: SecretStr) -> SecretStr:
    secret_keys(given)
    return given


class WebhookEntry(BaseModel):
    """An address that gets outcomes, and which."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    url: SecretStr = Field(min_length=1, max_length=2_000)
    secret: Annotated[SecretStr, AfterValidator(_checked)]
    types: tuple[Annotated[str, Field(pattern=r"^(\*|[a-z]+\.(\*|[a-z_]+))$")], ...] = Field(
        default=("*",), min_length=1, max_length=100
    )
    stores: tuple[StoreOrAll, ...] = Field(min_length=1, max_length=10_000)
    allow_private: bool = False

    @model_validator(mode="after")
    def _url_is_safe(self) -> WebhookEntry:
        parts = urlsplit(self.url.get_secret_value())
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.fragment:
            raise ValueError("url must be https://HOST/PATH")
        if parts.username or parts.password:
            raise ValueError("url must not have a user or a password")
        if is_unencrypted(self.url.get_secret_value()):
            raise ValueError("url must be https://, except on this machine")
        return self


Webhooks = Annotated[
    Json[dict[Annotated[str, Field(pattern=NAME)], WebhookEntry]], BeforeValidator(no_duplicate_key)
]
EXAMPLE = (
    '{"shop": {"url": "https://shop.example/refunds",'
    ' "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "types": ["refund.*"],'
    ' "stores": ["*"]}}'
)
