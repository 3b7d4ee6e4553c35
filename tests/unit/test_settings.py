"""Every setting, and the errors of invalid ones."""

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

VALID = {"REFUNDS_REDIS_URL": "redis://:hunter22@localhost/0"}


def test_a_missing_variable_stops_the_start_with_its_name_and_an_example() -> None:
    """Whoever starts the worker does not have to guess."""
    with pytest.raises(SettingsError) as caught:
        load_settings({})
    expected = "REFUNDS_REDIS_URL is not set; example: redis://localhost:6379/0"
    assert str(caught.value) == expected


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
        ("REFUNDS_REDIS_URL", "redis+sentinel://:canary@one:26379"),
        ("REFUNDS_REDIS_URL", "redis+sentinel://one:0/canary"),
        ("REFUNDS_REDIS_URL", "redis+sentinel://one,,two/canary"),
        ("REFUNDS_REDIS_URL", "redis+sentinel://one/canary/first"),
        ("REFUNDS_REDIS_URL", "redis+cluster://:canary@one:7000/1"),
        ("REFUNDS_REDIS_URL", "redis+cluster://one:canary"),
        ("REFUNDS_REDIS_URL", "redis+canary://one"),
        ("REFUNDS_VAULT_KEYS", "canary"),
        ("REFUNDS_THREADS", "many"),
        ("REFUNDS_THREADS", "0"),
        ("REFUNDS_CUTOFF", "2024-04-22T00:00:00"),
        ("REFUNDS_CUTOFF", "yesterday"),
        ("REFUNDS_WIX_BASE_URL", "wixapis.com"),
        ("REFUNDS_LOG_FORMAT", "xml"),
        ("REFUNDS_STORES", "{"),
        ("REFUNDS_STORES", '{"s": {"account_id": "a", "api_key": "k", "api_key": "l"}}'),
        ("REFUNDS_STORES", '{"s": {"account_id": "a", "api_key": "k"}, "s": {}}'),
        ("REFUNDS_STORES", '{"s": {"account_id": "a"}}'),
        ("REFUNDS_STORES", '{"s": {"account_id": "a", "api_key": "k", "IST.canary": 1}}'),
        ("REFUNDS_NAMESPACE", "{x}"),
        # A host name that cannot be looked up: an empty or too long label.
        ("REFUNDS_REDIS_URL", "redis://canary..example/0"),
        ("REFUNDS_REDIS_URL", f"redis+sentinel://one,{'canary' * 11}/refunds"),
    ],
)
def test_a_malformed_variable_is_named_without_its_value(name: str, value: str) -> None:
    """The error has its name and a valid value, and never the given value: it may be a secret."""
    with pytest.raises(SettingsError) as caught:
        load_settings(VALID | {name: value})
    text = str(caught.value)
    assert text.startswith(name)
    assert example(Settings.model_fields[name.removeprefix("REFUNDS_").lower()]) in text
    assert "canary" not in text


def test_an_invalid_vault_key_is_explained_in_our_words() -> None:
    """The error says what is expected and which command generates a key."""
    with pytest.raises(SettingsError) as caught:
        load_settings(VALID | {"REFUNDS_VAULT_KEYS": "x"})
    assert str(caught.value) == (
        "REFUNDS_VAULT_KEYS is invalid: expected one or more comma-separated keys of exactly 44"
        " characters; `refunds stores keygen` generates one"
    )


def test_a_shell_can_source_the_example_file(tmp_path: Path) -> None:
    """With every line uncommented, quotes, spaces and special characters arrive unchanged."""
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
    guards = [name for name in type(settings).model_fields if name.startswith("guard_")]
    tables: tuple[str, ...] = ("stores", "api_tokens", "console_tokens", "webhooks")
    unset: dict[str, object] = {name: {} for name in tables} | dict.fromkeys(guards)
    assert settings.model_copy(update=unset | {"log_format": None}) == load_settings(
        {"REFUNDS_REDIS_URL": "redis://localhost:6379/0"}
    )


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("REFUNDS_STORES", '{"4b296c48": 3}', "expected a JSON object (at 4b296c48)"),
        ("REFUNDS_API_TOKENS", '{"returns": 3}', "expected a JSON object (at returns)"),
        ("REFUNDS_PROCESSES", "many", "expected a number of processes, or auto"),
    ],
)
def test_an_error_names_no_class_of_ours(name: str, value: str, why: str) -> None:
    """It says what was expected, for someone who has never seen the code."""
    with pytest.raises(SettingsError) as caught:
        load_settings({"REFUNDS_REDIS_URL": "redis://localhost:6379/0", name: value})
    assert str(caught.value).startswith(f"{name} is invalid: {why}; example: ")


def test_all_invalid_variables_are_reported_at_once() -> None:
    """Nobody has to start the worker three times to find three mistakes."""
    with pytest.raises(SettingsError) as caught:
        load_settings({"REFUNDS_THREADS": "x", "REFUNDS_GRACE_S": "y"})
    names = [line.split(" ")[0] for line in str(caught.value).splitlines()]
    assert names == ["REFUNDS_REDIS_URL", "REFUNDS_THREADS", "REFUNDS_GRACE_S"]


def test_an_unknown_variable_is_reported_with_the_most_similar_setting() -> None:
    """A misspelt setting must not be ignored silently."""
    given = {"REFUNDS_THREAD": "4", "REFUNDS_COLOUR": "red", "REFUNDS_THREADS": "4", "PATH": "/"}
    assert unknown_variables(given) == {"REFUNDS_COLOUR": "", "REFUNDS_THREAD": "REFUNDS_THREADS"}


def test_only_the_given_environment_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """The demo must not use the real Redis because the caller's environment names it."""
    monkeypatch.setenv("REFUNDS_THREADS", "3")
    assert load_settings(VALID).threads == 16


def test_names_of_variables_are_in_capitals() -> None:
    """`refunds_threads` is another program's variable."""
    assert load_settings(VALID | {"refunds_threads": "3"}).threads == 16


def test_the_cutoff_may_be_in_any_time_zone() -> None:
    """It is converted to UTC."""
    settings = load_settings(VALID | {"REFUNDS_CUTOFF": "2024-04-22T02:00:00+02:00"})
    assert settings.cutoff == datetime(2024, 4, 22, tzinfo=UTC)
    assert settings.cutoff.tzinfo is UTC


def test_settings_are_frozen_and_show_no_secret() -> None:
    """A repr may end up in a log."""
    stores = '{"s": {"account_id": "a", "key": "IST.canary"}}'
    settings = load_settings(VALID | {"REFUNDS_STORES": stores})
    assert settings.stores["s"].api_key.get_secret_value() == "IST.canary"
    assert "canary" not in repr(settings)
    assert "hunter22" not in repr(settings)
    with pytest.raises(ValidationError):
        settings.threads = 5  # type: ignore[misc]  # that it is read-only is the point


def test_an_empty_variable_counts_as_not_set() -> None:
    """Compose files and CI systems often set variables to an empty string."""
    assert load_settings(VALID | {"REFUNDS_THREADS": ""}).threads == 16


def test_the_settle_delay_is_longer_than_a_call() -> None:
    """While a call may still be running, "not done" cannot be trusted."""
    settings = load_settings(VALID)
    assert settings.settle_delay_ms > settings.wix_total_timeout_ms
    assert settings.grace_s * 1000 > settings.wix_total_timeout_ms


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ({"SETTLE_DELAY_MS": "13999"}, ("SETTLE_DELAY_MS", "WIX_TOTAL_TIMEOUT_MS")),
        (
            {"WIX_TOTAL_TIMEOUT_MS": "15001", "SETTLE_DELAY_MS": "15000"},
            ("SETTLE_DELAY_MS", "WIX_TOTAL_TIMEOUT_MS"),
        ),
        ({"WORKER_BEAT_MS": "3334"}, ("WORKER_BEAT_MS", "WORKER_DEAD_AFTER_MS")),
        ({"WORKER_DEAD_AFTER_MS": "5999"}, ("WORKER_BEAT_MS", "WORKER_DEAD_AFTER_MS")),
    ],
    ids=str,
)
def test_times_that_do_not_fit_together_are_refused(
    given: dict[str, str], names: tuple[str, str]
) -> None:
    """No matter which of the two was set; the other one has its default."""
    with pytest.raises(SettingsError) as caught:
        load_settings(VALID | {f"REFUNDS_{name}": value for name, value in given.items()})
    [line] = str(caught.value).splitlines()
    assert line.startswith(f"REFUNDS_{names[0]} is ")
    assert f"REFUNDS_{names[1]}" in line


def test_times_that_barely_fit_together_are_accepted() -> None:
    """The bounds are inclusive, and two misfits are reported at once."""
    bounds = {"SETTLE_DELAY_MS": "14000", "WORKER_BEAT_MS": "3333", "WORKER_DEAD_AFTER_MS": "9999"}
    settings = load_settings(VALID | {f"REFUNDS_{name}": value for name, value in bounds.items()})
    assert settings.settle_delay_ms == settings.wix_total_timeout_ms
    with pytest.raises(SettingsError) as caught:
        load_settings(VALID | {"REFUNDS_SETTLE_DELAY_MS": "0", "REFUNDS_WORKER_BEAT_MS": "9000"})
    assert len(str(caught.value).splitlines()) == 2


def test_the_example_file_names_documents_as_seen_from_where_it_is() -> None:
    """It is not Markdown: a link would not work, least of all one that says "below"."""
    text = env_example()
    assert "](" not in text
    assert "see config/README.md#addresses-of-redis." in text
    assert "explained in worker/operations/README.md#money-guards." in text


def test_every_setting_is_documented() -> None:
    """The table and the example file describe every variable."""
    for name, info in Settings.model_fields.items():
        assert f"| `{variable(name)}` |" in settings_table()
        assert f"{variable(name)}=" in env_example()
        assert info.description
    assert "| `` |" not in settings_table()  # no default is an empty cell


@pytest.mark.parametrize(
    "url",
    [
        "https://www.wixapis.com",
        "http://localhost:8091",
        "http://127.0.0.1:8091/",
        "http://127.9.9.9",
        "http://[::1]:8091",
    ],
)
def test_keys_may_be_sent_encrypted_or_to_this_machine(url: str) -> None:
    """The simulator listens on loopback, without TLS."""
    assert load_settings(VALID | {"REFUNDS_WIX_BASE_URL": url}).wix_base_url == url.rstrip("/")


@pytest.mark.parametrize(
    "url",
    [
        "http://www.wixapis.com",
        "http://10.0.0.1:8091",
        "http://localhost@www.wixapis.com",
        "http://127.0.0.1.example.com",
        "http://localhost.example.com",
        "http://0.0.0.0:8091",
        "http://2130706433",
    ],
)
def test_keys_are_not_sent_unencrypted_to_another_machine(url: str) -> None:
    """A typing mistake must not give them away; a setting allows it, for a simulator elsewhere."""
    given = VALID | {"REFUNDS_WIX_BASE_URL": url}
    with pytest.raises(SettingsError, match="REFUNDS_WIX_BASE_URL is an http:// address"):
        load_settings(given)
    assert load_settings(given | {"REFUNDS_WIX_ALLOW_HTTP": "true"}).wix_base_url == url
