"""The settings: one frozen class. `config/docs.py` generates documentation from it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BeforeValidator,
    Field,
    Json,
    SecretStr,
    model_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from config import access, fields, guards, together
from config.webhooks import EXAMPLE, Webhooks

PREFIX = "REFUNDS_"


class Settings(BaseSettings):
    """Each field is the environment variable `REFUNDS_` plus the field's name in capitals."""

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
        """Use only what `load_settings` passes: the demo must not read the real environment."""
        return (init_settings,)

    redis_url: Annotated[SecretStr, AfterValidator(fields.redis_url)] = Field(
        examples=["redis://localhost:6379/0"]
    )
    """Address of the Redis server, the Sentinels or the Redis Cluster that hold the ledger and the
    queues; see [below](#addresses-of-redis)."""
    redis_wait_replicas: int = Field(default=0, ge=0, le=10)
    """Number of replicas that must confirm (WAIT) the intent, the record that a call is about to be
    made, before the call changes something at Wix; 0 if Redis has no replicas."""
    wix_base_url: Annotated[
        str, Field(pattern=r"^https?://[^\s]+$"), AfterValidator(fields.no_trailing_slash)
    ] = "https://www.wixapis.com"
    """Base URL of the Wix API, or of the simulator."""
    wix_allow_http: bool = False
    """Whether `REFUNDS_WIX_BASE_URL` may be an `http://` address of another machine: API keys are
    then sent unencrypted."""
    wix_proxy: Annotated[SecretStr, AfterValidator(fields.proxy)] | None = Field(
        default=None, examples=[""]
    )
    """HTTP proxy through which the calls to Wix go, `http://USER:PASSWORD@HOST:PORT`; HTTPS_PROXY
    and the like are ignored."""
    wix_ca_file: Annotated[Path, AfterValidator(fields.certificates)] | None = Field(
        default=None, examples=[""]
    )
    """File with certificates that are trusted as well, such as that of a proxy that decrypts."""
    stores: Annotated[
        Json[dict[str, fields.StoreEntry]], BeforeValidator(fields.no_duplicate_key)
    ] = Field(
        default="{}",
        validate_default=True,
        examples=[
            (
                '{"4b296c48-0000-4000-8000-000000000001":'
                ' {"account_id": "0f5b7a1e-0000-4000-8000-000000000002", "api_key": "IST.a.b.c"}}'
            )
        ],
    )
    """API keys of stores that are not in the vault, as JSON: site id to account id and API key."""
    # No example: a key that is published in this repository would protect nothing.
    vault_keys: Annotated[SecretStr, AfterValidator(fields.vault_keys)] | None = Field(
        default=None, examples=[""]
    )
    """Keys that encrypt the stores' API keys, from `refunds stores keygen`; comma-separated,
    newest first. The first one encrypts; all of them decrypt."""
    api_tokens: access.Producers = Field(
        default="{}", validate_default=True, examples=[access.EXAMPLE]
    )
    """Who may use the HTTP API, as JSON: the producer's name to the SHA-256 of its tokens, to its
    stores (`["*"]` for all) and, if wanted, to its `limit` (the largest amount of one refund by
    currency). `refunds api token` makes a token and its hash. Several hashes let a producer change
    to a new token."""
    console_tokens: access.Users = Field(
        default="{}", validate_default=True, examples=[access.USERS_EXAMPLE]
    )
    """Who may use `refunds console`, as JSON: a person's name to `role` (`view`, `act` or
    `approve`) and to the SHA-256 of tokens, as `refunds console token` makes them."""
    console_proxy: access.Proxy = Field(default="null", validate_default=True, examples=[""])
    """How a proxy in front of the console says who is signed in, as JSON: `header` and `secret`;
    see worker/console/README.md."""
    webhooks: Webhooks = Field(default="{}", validate_default=True, examples=[EXAMPLE])
    """Where outcomes are sent, as JSON: name to `url`, `secret` (comma-separated, newest first),
    `types` (all by default), `stores` (`["*"]` for all), and `allow_private` (whether the address
    may be one of a private network). See worker/webhooks/README.md."""
    progress_events: bool = False
    """Whether upstream gets `refund.progress` for each state that a refund reaches."""
    producer_keys: Annotated[
        Json[dict[Annotated[str, Field(pattern="^[A-Za-z0-9._-]{1,50}$")], fields.ProducerEntry]],
        BeforeValidator(fields.no_duplicate_key),
    ] = Field(default="{}", validate_default=True, examples=[""])
    """Services that may send jobs, as JSON: name to `keys` (each at least 32 characters; several to
    rotate them), `allow` (a list of site ids, or `["*"]`) and, if wanted, `limit` (the largest
    amount of one refund by currency). If it is set, each job on the queue must be signed."""
    producer_max_age_s: int = Field(default=604_800, ge=60, le=7_776_000)
    """How old a signature may be when a worker takes its job."""
    cutoff: Annotated[AwareDatetime, AfterValidator(fields.utc)] = Field(
        default=datetime(2024, 4, 22, tzinfo=UTC), examples=["2024-04-22T00:00:00Z"]
    )
    """Orders placed before this time are cancelled, others refunded; ISO 8601 with a time zone."""
    log_format: Literal["json", "gcp", "ecs", "console"] | None = Field(
        default=None, examples=["json"]
    )
    """`json`, `gcp` (with the `severity` of Google Cloud), `ecs` (the Elastic Common
    Schema) or `console`; if not set, `console` on a terminal and `json` elsewhere."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Minimum log level: `debug`, `info`, `warning` or `error`."""
    namespace: str = Field(default="refunds", pattern=r"^[a-z][a-z0-9_-]{0,40}$")
    """Prefix of all keys in Redis."""
    installation: str | None = Field(default=None, pattern=r"^[A-Za-z0-9_-]{1,64}$", examples=[""])
    """Id of the installation that this worker belongs to, as `refunds doctor` shows it. The worker
    refuses the ledger of another one, and an empty one. Not needed where `REFUNDS_STATE_DIR`
    outlives the worker and `REFUNDS_REDIS_URL` does not change."""
    state_dir: Path | None = Field(default=None, examples=[""])
    """Directory in which this machine remembers the installation of each ledger, in one small file
    without secrets; if not set, `wix-refund-worker` in `$XDG_STATE_HOME` or `~/.local/state`."""
    operator: str | None = Field(default=None, min_length=1, max_length=100, examples=[""])
    """Who runs the commands, for the audit log; if not set, the login name. `--by` takes
    precedence."""
    bulk_confirm: int = Field(default=100, ge=0, le=1_000_000)
    """An act on more refunds than this asks for their number to be typed, not only for a yes."""

    metrics_port: int | None = Field(default=None, ge=1, le=65535, examples=[""])
    """Port of /metrics, /healthz and /readyz, one for all processes; nothing listens if not set."""
    metrics_host: str = Field(default="127.0.0.1", min_length=1, max_length=255)
    """Address on which they listen; without TLS and without a password."""
    metrics_per_store: bool = False
    """Whether there is a metric for the refunds that wait in each store, with the store's id."""

    processes: fields.Cores = Field(default=1, ge=1, le=64)
    """Number of worker processes that `python -m worker` starts; `auto` for one per core. If there
    are as many as cores, each keeps to one core, which saves CPU time: 13 % on an idle machine with
    two cores, 24 % beside other programs."""
    cells: int = Field(default=1, ge=1, le=64)
    """Number of cells in which stores live, so that a Redis Cluster can spread them: see
    [below](#cells). It can grow, but not shrink. 1 for one ledger, with no cells."""
    served_cells: str = Field(default="", pattern=r"^(front|\d\d?)?(,(front|\d\d?))*$")
    """Cells that this worker serves, such as `front,0,1`; all of them if not set."""
    threads: int = Field(default=16, ge=1, le=256)
    """Number of threads per process that run steps, one at a time each; one more takes jobs in."""
    grace_s: int = Field(default=25, ge=1, le=600)
    """Time that running steps have to finish after SIGTERM; longer than any call to Wix takes."""
    lane_width: int = Field(default=4, ge=1, le=1000)
    """Maximum number of refunds of one store in flight at once, and so of its calls to Wix, however
    many workers run. With the default, `REFUNDS_STORE_CALLS_PER_MIN` is what limits a store while a
    call takes up to 1.6 s: with calls of 0.2 s, widths of 1 to 8 made 140 calls a minute. Without
    that limit, the width is what counts: 4 made 1,100 calls a minute, 16 made 4,400."""
    store_calls_per_min: int = Field(default=150, ge=0, le=60_000)
    """Maximum number of calls to Wix per store and minute; Wix allows about 200. 0 for no limit,
    until Wix throttles the store. A step makes its calls in a row, up to four and one for each
    fulfillment after the first: a number below that may be exceeded by such a step. 1 to 4 all
    mean about one call a minute."""
    worker_beat_ms: int = Field(default=2_000, ge=20, le=60_000)
    """Interval of the heartbeat; at most a third of `REFUNDS_WORKER_DEAD_AFTER_MS`."""
    worker_dead_after_ms: int = Field(default=10_000, ge=100, le=600_000)
    """Time without a heartbeat after which other workers take over a worker's messages."""

    wix_connect_timeout_ms: int = Field(default=5_000, ge=1, le=60_000)
    """Timeout for connecting to Wix."""
    wix_read_timeout_ms: int = Field(default=10_000, ge=1, le=60_000)
    """Timeout for each read of a response from Wix."""
    wix_total_timeout_ms: int = Field(default=14_000, ge=1, le=60_000)
    """Timeout for one call to Wix as a whole."""
    settle_delay_ms: fields.Milliseconds = 300_000
    """After a call with an unknown effect, how long "Wix does not show it" does not yet mean "not
    done"; at least the total timeout. It protects against calls that arrive late, and against Wix
    carrying them out late. Such calls are rare, so a long delay costs little. When Redis has
    restarted, nothing is changed at Wix for as long; after a failover, only where a call may be
    forgotten, or if a worker does not name its calls (`worker/ledger/README.md`)."""

    retry_first_ms: int = Field(default=1_000, ge=1, le=3_600_000)
    """Maximum delay before the first retry; it doubles with each retry."""
    retry_cap_ms: int = Field(default=900_000, ge=1, le=86_400_000)
    """Maximum delay before any retry."""
    retry_for_s: int = Field(default=86_400, ge=0, le=2_592_000)
    """Minimum time to keep retrying before a failing refund becomes a dead letter."""
    retry_attempts: int = Field(default=12, ge=1, le=10_000)
    """Minimum number of attempts before a failing refund becomes a dead letter."""
    confirm_first_ms: int = Field(default=1_000, ge=1, le=3_600_000)
    """Delay before the first check of the provider's progress; it doubles with each check."""
    confirm_cap_ms: int = Field(default=900_000, ge=1, le=86_400_000)
    """Maximum delay between two checks of the provider's progress."""
    confirm_for_s: int = Field(default=1_209_600, ge=0, le=7_776_000)
    """Time after which a refund that has not settled becomes a dead letter."""
    watch_first_ms: int = Field(default=3_600_000, ge=1, le=86_400_000)
    """Delay before the first check whether the provider has reversed a finished refund. One hour:
    by then a provider has rejected what it cannot pay, and a refund call that took effect late
    shows. Checks of a store that are due within five minutes share one call."""
    watch_for_s: int = Field(default=259_200, ge=0, le=7_776_000)
    """Delay before the second and last check for a reversal; 0 for no checks at all. Three days:
    what a bank cannot credit comes back within its next business days."""
    approval_for_s: int = Field(default=86_400, ge=0, le=7_776_000)
    """Time to wait for an unapproved order before its refund is rejected."""
    unfulfill_looks: int = Field(default=7, ge=1, le=1000)
    """Maximum number of checks whether Wix shows an order as unfulfilled after its fulfillments
    were deleted, or a payment as voided."""
    without_fulfillments: Literal["try_cancel", "escalate"] = "try_cancel"
    """What to do with a fulfilled order that has no fulfillment to delete: `try_cancel`, or
    `escalate`, which leaves it to a person."""
    cancellation_refundable: Literal["cancel", "escalate", "refund_then_cancel"] = "cancel"
    """What to do with an order placed before the cutoff whose payments Wix says it could refund:
    `cancel` it, which moves no money; `escalate`, which leaves it to a person; or
    `refund_then_cancel`, which refunds it first and cancels it once the refund has settled. Set the
    last one only when all workers run a version that knows it."""
    restore_fulfillments: bool = True
    """Whether to recreate the deleted fulfillments when Wix refuses to cancel the order."""
    order_rounds: int = Field(default=3, ge=1, le=100)
    """How many times an order may change between our steps before it is left to a person."""

    guard_refund: Annotated[str, AfterValidator(guards.check_amounts)] | None = Field(
        default=None, examples=["500 USD, 450 EUR"]
    )
    """Maximum per refund; above it the refund waits for an approval. All `REFUNDS_GUARD_` settings
    are explained in [Money guards](../worker/operations/README.md#money-guards). A store may have
    its own limits after `;`: `500 USD; SITE_ID: 2000 USD`."""
    guard_two_people: Annotated[str, AfterValidator(guards.check_amounts)] | None = Field(
        default=None, examples=["2000 USD"]
    )
    """Maximum per refund that one person may approve; above it two different people must."""
    guard_store_hour: Annotated[str, AfterValidator(guards.check_limits)] | None = Field(
        default=None, examples=["100 refunds, 5000 USD"]
    )
    """Maximum per store within an hour: a number of refunds, and amounts by currency."""
    guard_store_day: Annotated[str, AfterValidator(guards.check_limits)] | None = Field(
        default=None, examples=["500 refunds, 20000 USD"]
    )
    """Maximum per store within a day."""
    guard_store_surge: Annotated[str, AfterValidator(guards.check_surge)] | None = Field(
        default=None, examples=["10x above 20"]
    )
    """How many times its usual number of refunds per hour a store may reach; `above` says up to
    which number an hour is never a surge."""
    guard_all_hour: Annotated[str, AfterValidator(guards.check_totals)] | None = Field(
        default=None, examples=["1000 refunds, 50000 USD"]
    )
    """Maximum for all stores together within an hour."""
    guard_all_day: Annotated[str, AfterValidator(guards.check_totals)] | None = Field(
        default=None, examples=["5000 refunds, 200000 USD"]
    )
    """Maximum for all stores together within a day."""

    store_unknown_for_s: int = Field(default=86_400, ge=0, le=7_776_000)
    """How long the refunds of a store that is not connected wait for it; 0 for not at all."""
    probe_first_ms: int = Field(default=60_000, ge=1, le=3_600_000)
    """Delay before the first probe of a suspended store's key; it doubles with each probe. After a
    403 without a reason, a refund waits three times, for twice, four and eight times this delay,
    before the key is judged."""
    probe_cap_ms: int = Field(default=3_600_000, ge=1, le=86_400_000)
    """Maximum delay between two probes."""
    schedule_tick_ms: int = Field(default=200, ge=5, le=60_000)
    """Interval at which the scheduler checks for due refunds."""
    reconcile_every_ms: int = Field(default=5_000, ge=10, le=600_000)
    """Interval at which the scheduler checks for lost refunds and requeues them."""

    keep_finished_days: int = Field(default=90, ge=1, le=36_500)
    """How long a finished refund stays whole in Redis, in days after the day (UTC) on which it
    ended. Then it goes to the archive, and Redis only keeps what recognises a repeat of its job."""
    archive: Path | None = Field(default=None, examples=[""])
    """Directory of the archive, the same one for all machines; it must exist. If not set, nothing
    is ever forgotten, and Redis grows."""

    keep_outcomes_days: int = Field(default=30, ge=1, le=36_500)
    """How long outcomes stay in their stream, in days; longer while a consumer group has not read
    and acknowledged them, of which `refunds doctor` warns."""

    @model_validator(mode="after")
    def _settings_fit_together(self) -> Settings:
        """Check settings that are valid by themselves but not together."""
        if problems := list(together.problems(self)):
            raise ValueError("\n".join(problems))
        return self
