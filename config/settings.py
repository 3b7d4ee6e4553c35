"""The settings: one frozen class. The README's table and `.env.example` are made from it."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    AliasChoices,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    Json,
    SecretStr,
    model_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from config.urls import check_redis_url

PREFIX = "REFUNDS_"


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)


#: A Fernet key: 32 bytes in URL-safe base64.
_VAULT_KEY = re.compile(r"[A-Za-z0-9_-]{43}=")


def _vault_keys(given: SecretStr) -> SecretStr:
    keys = [key.strip() for key in given.get_secret_value().split(",")]
    if not all(_VAULT_KEY.fullmatch(key) for key in keys):
        raise ValueError(
            "it takes one key or several with commas, each 44 characters long and whole;"
            " `refunds stores keygen` makes one"
        )
    return SecretStr(",".join(keys))


def _redis_url(given: SecretStr) -> SecretStr:
    return SecretStr(check_redis_url(given.get_secret_value()))


def _no_trailing_slash(url: str) -> str:
    return url.rstrip("/")


class StoreEntry(BaseModel):
    """What is needed to call Wix for one store."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    account_id: str = Field(min_length=1, max_length=100)
    api_key: SecretStr = Field(min_length=1, validation_alias=AliasChoices("api_key", "key"))


Milliseconds = Annotated[int, Field(ge=0, le=86_400_000)]


class Settings(BaseSettings):
    """Read from variables named REFUNDS_ and the field's name in capitals."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
        use_attribute_docstrings=True,
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - pydantic's signature
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - pydantic's signature
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - pydantic's signature
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - pydantic's signature
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take what `load_settings` read from a mapping: the demo must not see our environment."""
        return (init_settings,)

    redis_url: Annotated[SecretStr, AfterValidator(_redis_url)] = Field(
        examples=["redis://localhost:6379/0"]
    )
    """Where the ledger and the queues live."""
    wix_base_url: Annotated[
        str, Field(pattern=r"^https?://[^\s]+$"), AfterValidator(_no_trailing_slash)
    ] = "https://www.wixapis.com"
    """Wix, or the simulator."""
    stores: Json[dict[str, StoreEntry]] = Field(
        default="{}",
        validate_default=True,
        examples=[
            (
                '{"4b296c48-0000-4000-8000-000000000001":'
                ' {"account_id": "0f5b7a1e-0000-4000-8000-000000000002", "api_key": "IST.a.b.c"}}'
            )
        ],
    )
    """Keys of stores that are not in the vault, as JSON: site id to account id and API key."""
    # No example: a key that stands in a file of this project would seal nothing.
    vault_keys: Annotated[SecretStr, AfterValidator(_vault_keys)] | None = Field(
        default=None, examples=[""]
    )
    """What `refunds stores keygen` prints: it seals the stores' API keys. Several with commas,
    newest first; the first seals, all open."""
    cutoff: Annotated[AwareDatetime, AfterValidator(_utc)] = Field(
        default=datetime(2024, 4, 22, tzinfo=UTC), examples=["2024-04-22T00:00:00Z"]
    )
    """Orders placed before it are cancelled, the others refunded; ISO 8601 with a zone."""
    log_format: Literal["json", "console"] | None = Field(default=None, examples=["json"])
    """`json` or `console`; when not set: console on a terminal, JSON elsewhere."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """The least level that is written."""
    namespace: str = Field(default="refunds", pattern=r"^[a-z][a-z0-9_-]{0,40}$")
    """Prefix of all keys in Redis."""

    processes: int = Field(default=1, ge=1, le=64)
    """Worker processes that `python -m worker` runs."""
    threads: int = Field(default=8, ge=1, le=256)
    """Steps that each of them does at once."""
    grace_s: int = Field(default=25, ge=1, le=600)
    """Time that running steps get to finish after SIGTERM; longer than a whole call to Wix."""
    lane_width: int = Field(default=4, ge=1, le=1000)
    """Refunds of one store that are in flight at once."""
    store_calls_per_min: int = Field(default=0, ge=0, le=60_000)
    """Calls to Wix for one store, on average; 0 for as many as come (a 429 is waited out)."""
    worker_beat_ms: int = Field(default=2_000, ge=20, le=60_000)
    """How often a worker says that it lives; at most a third of the time below."""
    worker_dead_after_ms: int = Field(default=10_000, ge=100, le=600_000)
    """Silence after which a worker counts as dead and its work is given to others."""

    wix_connect_timeout_ms: int = Field(default=5_000, ge=1, le=60_000)
    """Longest wait for a connection to Wix."""
    wix_read_timeout_ms: int = Field(default=10_000, ge=1, le=60_000)
    """Longest silence of Wix inside an answer."""
    wix_total_timeout_ms: int = Field(default=14_000, ge=1, le=60_000)
    """Longest duration of one call to Wix, as a whole."""
    settle_delay_ms: Milliseconds = 15_000
    """After an unclear call "not done" is believed only after this; at least the total timeout."""

    retry_first_ms: int = Field(default=1_000, ge=1, le=3_600_000)
    """Upper bound of the first wait after a failure; it doubles from there."""
    retry_cap_ms: int = Field(default=900_000, ge=1, le=86_400_000)
    """Upper bound of every wait after a failure."""
    retry_for_s: int = Field(default=86_400, ge=0, le=2_592_000)
    """A failure becomes a dead letter only after this time ..."""
    retry_attempts: int = Field(default=12, ge=1, le=10_000)
    """... and this number of attempts."""
    confirm_first_ms: int = Field(default=1_000, ge=1, le=3_600_000)
    """First wait for the payment provider; it doubles from there."""
    confirm_cap_ms: int = Field(default=900_000, ge=1, le=86_400_000)
    """Longest wait between two looks at the provider's progress."""
    confirm_for_s: int = Field(default=1_209_600, ge=0, le=7_776_000)
    """Time after which an unsettled refund is shown to a person."""
    watch_for_s: int = Field(default=259_200, ge=0, le=7_776_000)
    """Time after a refund in which a reversal by the provider is looked for; 0 for never."""
    watch_first_ms: int = Field(default=60_000, ge=1, le=86_400_000)
    """First wait of that watch; it doubles, to a day at most."""
    approval_for_s: int = Field(default=86_400, ge=0, le=7_776_000)
    """Time that an order may stay unapproved before its refund is rejected."""
    unfulfill_looks: int = Field(default=7, ge=1, le=1000)
    """Looks at an order that stays fulfilled after its fulfillments were removed."""
    without_fulfillments: Literal["try_cancel", "escalate"] = "try_cancel"
    """Fulfilled, but without a fulfillment to remove: cancel it all the same, or ask a person."""
    restore_fulfillments: bool = True
    """Whether removed fulfillments are created again when Wix refuses the cancel for good."""
    order_rounds: int = Field(default=3, ge=1, le=100)
    """How often an order may be fulfilled again between our steps, before a person is asked."""

    probe_first_ms: int = Field(default=60_000, ge=1, le=3_600_000)
    """First wait before Wix is asked again about a suspended store; it doubles from there."""
    probe_cap_ms: int = Field(default=3_600_000, ge=1, le=86_400_000)
    """Longest wait between two such questions."""
    schedule_tick_ms: int = Field(default=200, ge=5, le=60_000)
    """How often the scheduler looks for what is due."""
    reconcile_every_ms: int = Field(default=5_000, ge=10, le=600_000)
    """How often forgotten refunds are looked for."""

    @model_validator(mode="after")
    def _times_fit_together(self) -> Settings:
        """Two pairs of times that are right alone and wrong together."""
        problems = []
        if self.settle_delay_ms < self.wix_total_timeout_ms:
            problems.append(
                f"{PREFIX}SETTLE_DELAY_MS is {self.settle_delay_ms}, but must be at least"
                f" {PREFIX}WIX_TOTAL_TIMEOUT_MS, {self.wix_total_timeout_ms}: else a call that is"
                " still under way is taken for not done, and made again"
            )
        if 3 * self.worker_beat_ms > self.worker_dead_after_ms:
            problems.append(
                f"{PREFIX}WORKER_BEAT_MS is {self.worker_beat_ms}, but must be at most a third of"
                f" {PREFIX}WORKER_DEAD_AFTER_MS, {self.worker_dead_after_ms}: else a worker that"
                " lives is taken for dead"
            )
        if problems:
            raise ValueError("\n".join(problems))
        return self
