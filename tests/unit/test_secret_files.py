"""Secrets from files, and quotes that Docker leaves around values."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.loading import SettingsError, load_settings, unknown_variables

URL = "redis://:hunter22@localhost/0"


def test_each_secret_can_be_in_a_file(tmp_path: Path) -> None:
    """As Docker and Kubernetes mount them: with a line end."""
    path = tmp_path / "url"
    path.write_text(f"{URL}\n")
    environ = {"REFUNDS_REDIS_URL_FILE": str(path)}
    assert load_settings(environ).redis_url.get_secret_value() == URL
    assert unknown_variables(environ) == {}


def test_a_file_that_cannot_be_read_is_named_by_its_variable(tmp_path: Path) -> None:
    """Neither its content nor a second value is guessed."""
    for name in ("REDIS_URL", "STORES", "VAULT_KEYS", "WIX_PROXY"):
        given = {"REFUNDS_REDIS_URL": URL, f"REFUNDS_{name}_FILE": str(tmp_path / "none")}
        given |= {} if name != "REDIS_URL" else {"REFUNDS_REDIS_URL": ""}
        with pytest.raises(SettingsError, match=f"REFUNDS_{name}_FILE names a file"):
            load_settings(given)
    with pytest.raises(SettingsError, match="are both set"):
        load_settings({"REFUNDS_REDIS_URL": URL, "REFUNDS_REDIS_URL_FILE": str(tmp_path)})


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
