"""Every knob, and what is said when one is wrong."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import ValidationError

from config.docs import env_example, settings_table
from config.loading import SettingsError, example, load_settings, unknown_variables, variable
from config.settings import Settings

RIGHT = {"REFUNDS_REDIS_URL": "redis://:hunter22@localhost/0"}


def test_a_missing_variable_stops_the_start_with_its_name_and_an_example() -> None:
    """The person who starts it must not guess."""
    with pytest.raises(SettingsError) as caught:
        load_settings({})
    told = "REFUNDS_REDIS_URL is not set; a right value would be: redis://localhost:6379/0"
    assert str(caught.value) == told


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("REFUNDS_REDIS_URL", "localhost:6379"),
        ("REFUNDS_REDIS_URL", "http://localhost:6379"),
        ("REFUNDS_REDIS_URL", "redis:localhost"),
        ("REFUNDS_REDIS_URL", "redis://localhost:canary/0"),
        ("REFUNDS_REDIS_URL", "redis://localhost:99999/0"),
        ("REFUNDS_REDIS_URL", "redis://localhost/canary"),
        ("REFUNDS_REDIS_URL", "redis://:can#ary@localhost/0"),
        ("REFUNDS_REDIS_URL", "unix://"),
        ("REFUNDS_REDIS_URL", "unix:///run/redis.sock?db=canary"),
        ("REFUNDS_REDIS_URL", "redis://localhost/0?socket_timeout=canary"),
        ("REFUNDS_REDIS_URL", "redis://localhost/0?canary=1"),
        ("REFUNDS_VAULT_KEYS", "canary"),
        ("REFUNDS_THREADS", "many"),
        ("REFUNDS_THREADS", "0"),
        ("REFUNDS_CUTOFF", "2024-04-22T00:00:00"),
        ("REFUNDS_CUTOFF", "yesterday"),
        ("REFUNDS_WIX_BASE_URL", "wixapis.com"),
        ("REFUNDS_LOG_FORMAT", "xml"),
        ("REFUNDS_STORES", "{"),
        ("REFUNDS_STORES", '{"s": {"account_id": "a"}}'),
        ("REFUNDS_STORES", '{"s": {"account_id": "a", "api_key": "k", "IST.canary": 1}}'),
        ("REFUNDS_NAMESPACE", "{x}"),
    ],
)
def test_a_malformed_variable_is_named_without_its_value(name: str, value: str) -> None:
    """The name and a right value; never what was given, which may be a secret."""
    with pytest.raises(SettingsError) as caught:
        load_settings(RIGHT | {name: value})
    text = str(caught.value)
    assert text.startswith(name)
    assert example(Settings.model_fields[name.removeprefix("REFUNDS_").lower()]) in text
    assert "canary" not in text


@pytest.mark.parametrize(
    "url",
    [
        "redis://localhost",
        "redis://localhost:6379",
        "rediss://user:p%23ss@redis.example.com:6380/15",
        "redis://[::1]:6379/0",
        "unix:///run/redis.sock?db=1",
        "redis://localhost:6379/0?protocol=2",
        "rediss://localhost:6379/0?ssl_cert_reqs=none&health_check_interval=10",
    ],
)
def test_every_address_that_the_client_takes_is_taken(url: str) -> None:
    """Plain, TLS, socket; with and without port and database."""
    assert load_settings({"REFUNDS_REDIS_URL": url}).redis_url.get_secret_value() == url


def test_the_words_about_a_wrong_vault_key_are_our_own() -> None:
    """What it takes and what makes one; no library's prefix."""
    with pytest.raises(SettingsError) as caught:
        load_settings(RIGHT | {"REFUNDS_VAULT_KEYS": "x"})
    assert str(caught.value) == (
        "REFUNDS_VAULT_KEYS is not right: it takes one key or several with commas, each 44"
        " characters long and whole; `refunds stores keygen` makes one"
    )


def test_the_example_can_be_sourced_by_a_shell_as_it_stands(tmp_path: Path) -> None:
    """Every line uncommented: quotes, spaces and signs reach the worker as they are meant."""
    lines = re.sub(r"^#(?=REFUNDS_)", "", env_example(), flags=re.MULTILINE)
    (tmp_path / "env").write_text(lines)
    code = "import json, os; print(json.dumps(dict(os.environ)))"
    done = subprocess.run(
        [
            "sh",
            "-euc",
            'set -a; . "$1/env"; exec "$2" -c "$3"',
            "sh",
            tmp_path,
            sys.executable,
            code,
        ],
        env={"PATH": os.defpath},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    environment = json.loads(done.stdout)
    assert unknown_variables(environment) == {}
    settings = load_settings(environment)
    assert len(settings.stores) == 1
    assert settings.model_copy(update={"stores": {}, "log_format": None}) == load_settings(
        {"REFUNDS_REDIS_URL": "redis://localhost:6379/0"}
    )


def test_all_wrong_variables_are_told_at_once() -> None:
    """One round of fixing, not three."""
    with pytest.raises(SettingsError) as caught:
        load_settings({"REFUNDS_THREADS": "x", "REFUNDS_GRACE_S": "y"})
    names = [line.split(" ")[0] for line in str(caught.value).splitlines()]
    assert names == ["REFUNDS_REDIS_URL", "REFUNDS_THREADS", "REFUNDS_GRACE_S"]


def test_an_unknown_variable_is_reported_with_the_nearest() -> None:
    """A misspelt knob would be silently without effect."""
    given = {"REFUNDS_THREAD": "4", "REFUNDS_COLOUR": "red", "REFUNDS_THREADS": "4", "PATH": "/"}
    assert unknown_variables(given) == {"REFUNDS_COLOUR": "", "REFUNDS_THREAD": "REFUNDS_THREADS"}


def test_the_cutoff_is_an_instant() -> None:
    """Given in any zone, kept in UTC."""
    settings = load_settings(RIGHT | {"REFUNDS_CUTOFF": "2024-04-22T02:00:00+02:00"})
    assert settings.cutoff == datetime(2024, 4, 22, tzinfo=UTC)
    assert settings.cutoff.tzinfo is UTC


def test_settings_are_frozen_and_show_no_secret() -> None:
    """A repr may end in a log."""
    stores = '{"s": {"account_id": "a", "key": "IST.canary"}}'
    settings = load_settings(RIGHT | {"REFUNDS_STORES": stores})
    assert settings.stores["s"].api_key.get_secret_value() == "IST.canary"
    assert "canary" not in repr(settings)
    assert "hunter22" not in repr(settings)
    with pytest.raises(ValidationError):
        settings.threads = 5  # type: ignore[misc]  # that it is read-only is the point


def test_an_empty_variable_is_as_good_as_none() -> None:
    """Compose files and CI set variables to nothing."""
    assert load_settings(RIGHT | {"REFUNDS_THREADS": ""}).threads == 8


def test_the_settle_delay_outlives_a_call() -> None:
    """While a call may still run, "not done" must not be believed."""
    settings = load_settings(RIGHT)
    assert settings.settle_delay_ms > settings.wix_total_timeout_ms
    assert settings.grace_s * 1000 > settings.wix_total_timeout_ms


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ({"SETTLE_DELAY_MS": "13999"}, ("SETTLE_DELAY_MS", "WIX_TOTAL_TIMEOUT_MS")),
        ({"WIX_TOTAL_TIMEOUT_MS": "15001"}, ("SETTLE_DELAY_MS", "WIX_TOTAL_TIMEOUT_MS")),
        ({"WORKER_BEAT_MS": "3334"}, ("WORKER_BEAT_MS", "WORKER_DEAD_AFTER_MS")),
        ({"WORKER_DEAD_AFTER_MS": "5999"}, ("WORKER_BEAT_MS", "WORKER_DEAD_AFTER_MS")),
    ],
    ids=str,
)
def test_times_that_do_not_fit_together_are_refused(
    given: dict[str, str], names: tuple[str, str]
) -> None:
    """Whichever of the two was set; the one that is not has its default."""
    with pytest.raises(SettingsError) as caught:
        load_settings(RIGHT | {f"REFUNDS_{name}": value for name, value in given.items()})
    [line] = str(caught.value).splitlines()
    assert line.startswith(f"REFUNDS_{names[0]} is ")
    assert f"REFUNDS_{names[1]}" in line


def test_times_that_just_fit_together_are_taken() -> None:
    """The bounds themselves; and two misfits are told at once."""
    just = {"SETTLE_DELAY_MS": "14000", "WORKER_BEAT_MS": "3333", "WORKER_DEAD_AFTER_MS": "9999"}
    settings = load_settings(RIGHT | {f"REFUNDS_{name}": value for name, value in just.items()})
    assert settings.settle_delay_ms == settings.wix_total_timeout_ms
    with pytest.raises(SettingsError) as caught:
        load_settings(RIGHT | {"REFUNDS_SETTLE_DELAY_MS": "0", "REFUNDS_WORKER_BEAT_MS": "9000"})
    assert len(str(caught.value).splitlines()) == 2


def test_every_setting_is_documented() -> None:
    """The table and the example file know every variable, with a meaning."""
    for name, info in Settings.model_fields.items():
        assert f"| `{variable(name)}` |" in settings_table()
        assert f"{variable(name)}=" in env_example()
        assert info.description
