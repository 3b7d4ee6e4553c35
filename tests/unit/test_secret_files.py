"""Secrets from files, and quotes that Docker leaves around values."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.loading import (
    SECRETS,
    SettingsError,
    load_settings,
    unknown_variables,
    variable,
)
from config.settings import Settings

URL = "redis://:hunter22@localhost/0"


def test_each_secret_can_be_in_a_file(tmp_path: Path) -> None:
    """As Docker and Kubernetes mount them: with a line end."""
    path = tmp_path / "url"
    path.write_text(f"{URL}\n")
    environ = {"REFUNDS_REDIS_URL_FILE": str(path)}
    assert load_settings(environ).redis_url.get_secret_value() == URL
    assert unknown_variables(environ) == {}


def test_every_setting_with_a_secret_can_be_in_a_file() -> None:
    """A new one must be added to the list."""
    schema = Settings.model_json_schema()

    def is_secret(part: object) -> bool:
        if isinstance(part, list):
            return any(map(is_secret, part))
        if not isinstance(part, dict):
            return False
        if name := part.get("$ref"):
            return is_secret(schema["$defs"][name.rpartition("/")[2]])
        return bool(part.get("writeOnly")) or any(map(is_secret, part.values()))

    found = {name for name, field in schema["properties"].items() if is_secret(field)}
    hashed = {"api_tokens", "console_tokens"}
    assert found | hashed == set(SECRETS)


@pytest.mark.parametrize("field", SECRETS)
def test_a_file_that_cannot_be_read_is_named_by_its_variable(field: str, tmp_path: Path) -> None:
    """Neither its content nor a second value is guessed, and no error repeats a content."""
    path = tmp_path / "secret"
    name = f"{variable(field)}_FILE"
    given = {} if field == "redis_url" else {"REFUNDS_REDIS_URL": URL}
    with pytest.raises(SettingsError, match=f"{name} names a file"):
        load_settings(given | {name: str(path)})
    for content in (
        b"canary-7",
        b'{"IST.canary.7": {"IST.canary.7": "canary-7"}}',
        b"\xff canary-7",
    ):
        path.write_bytes(content)
        with pytest.raises(SettingsError, match=variable(field)) as refused:
            load_settings(given | {name: str(path)})
        assert "canary" not in str(refused.value)
    with pytest.raises(SettingsError, match="are both set"):
        load_settings(given | {name: str(path), variable(field): "canary-7"})


@pytest.mark.parametrize("quote", ["'", '"'])
def test_quotes_around_a_value_are_understood(quote: str) -> None:
    """`docker --env-file` does not remove them."""
    stores = '{"4b296c48-0000-4000-8000-000000000001": {"account_id": "a", "api_key": "IST.a.b"}}'
    quoted = f"{quote}{stores}{quote}"
    settings = load_settings(
        {"REFUNDS_REDIS_URL": f"{quote}{URL}{quote}", "REFUNDS_STORES": quoted}
    )
    assert settings.redis_url.get_secret_value() == URL
    assert len(settings.stores) == 1


@pytest.mark.parametrize(
    "value", ["https://proxy:3128", "proxy:3128", "http://canary:0", "http://x/y"]
)
def test_a_proxy_that_is_none_is_refused(value: str) -> None:
    """The error does not repeat the address, which may hold a password."""
    with pytest.raises(SettingsError, match="REFUNDS_WIX_PROXY is invalid") as refused:
        load_settings({"REFUNDS_REDIS_URL": URL, "REFUNDS_WIX_PROXY": value})
    assert "canary" not in str(refused.value)


def test_a_file_with_certificates_must_hold_some(tmp_path: Path) -> None:
    """A missing one is named."""
    empty = tmp_path / "ca.pem"
    empty.write_text("none")
    for path, why in ((empty, "holds no certificate"), (tmp_path / "no.pem", "No such file")):
        with pytest.raises(SettingsError, match=why):
            load_settings({"REFUNDS_REDIS_URL": URL, "REFUNDS_WIX_CA_FILE": str(path)})
