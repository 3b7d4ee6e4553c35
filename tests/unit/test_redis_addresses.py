"""Addresses of Redis in the settings, and the options that may follow them."""

from __future__ import annotations

import pytest

from config.loading import SettingsError, load_settings


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
        "redis+sentinel://:pw@one:26379,two/refunds-primary/1?sentinel_password=other",
        "rediss+sentinel://[::1]:26379/mymaster",
        "redis+cluster://user:p%40ss@one:7000,two:7001",
        "rediss+cluster://one/0?ssl_ca_certs=/etc/ca.pem",
    ],
)
def test_every_kind_of_address_is_accepted(url: str) -> None:
    """TCP, TLS and Unix socket, Sentinel and Cluster, with and without port and database."""
    assert load_settings({"REFUNDS_REDIS_URL": url}).redis_url.get_secret_value() == url


@pytest.mark.parametrize("name", ["socket_timeout", "socket_connect_timeout"])
@pytest.mark.parametrize("scheme", ["redis", "redis+cluster", "unix"])
@pytest.mark.parametrize("seconds", ["1", "0.99", "0", "-1", "nan"])
def test_a_timeout_that_a_blocking_command_could_exceed_is_refused(
    scheme: str, name: str, seconds: str
) -> None:
    """Each fetch without work would fail, and the worker would pause for seconds."""
    url = f"{scheme}://:canary@host/0?{name}={seconds}"
    if seconds == "1":
        assert load_settings({"REFUNDS_REDIS_URL": url}).redis_url.get_secret_value() == url
        return
    with pytest.raises(SettingsError) as caught:
        load_settings({"REFUNDS_REDIS_URL": url})
    text = str(caught.value)
    assert text.startswith(f"REFUNDS_REDIS_URL is invalid: {name} must be at least 1 second")
    assert "canary" not in text


@pytest.mark.parametrize(
    ("limit", "threads", "is_enough"), [("12", "8", True), ("11", "8", False), ("99", "95", True)]
)
def test_fewer_connections_than_threads_need_are_refused(
    limit: str, threads: str, is_enough: bool
) -> None:
    """A thread without a connection would fail its step, again and again."""
    url = f"redis://:canary@localhost/0?max_connections={limit}"
    given = {"REFUNDS_REDIS_URL": url, "REFUNDS_THREADS": threads}
    if is_enough:
        assert load_settings(given).threads == int(threads)
        return
    with pytest.raises(SettingsError, match="needs 12 connections") as caught:
        load_settings(given)
    assert "max_connections=11" in str(caught.value)
    assert "canary" not in str(caught.value)
