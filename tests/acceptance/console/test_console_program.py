"""`refunds console` as a program: where it listens, what it needs, its tokens."""

from __future__ import annotations

import json
import ssl
import sys
import uuid
from pathlib import Path

import httpx
import pytest

from config.loading import SettingsError, load_settings
from tests.support.certificates import Authority
from tests.support.commands import refunds
from tests.support.console import ACT, USERS, console_program
from tests.support.processes import run_program
from worker.serving.tokens import hash_of

SETTINGS = {"REFUNDS_CONSOLE_TOKENS": json.dumps(USERS)}
PROXY = {"REFUNDS_CONSOLE_PROXY": json.dumps({"header": "X-User", "secret": "x" * 32})}


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "refunds.example"])  # noqa: S104 - to be refused
def test_it_does_not_listen_beyond_loopback_without_tls(redis_url: str, host: str) -> None:
    """Tokens and sessions would be sent unencrypted."""
    settings = SETTINGS | {"REFUNDS_REDIS_URL": redis_url}
    ended = refunds(None, "console", "--host", host, environment=settings)
    assert ended.returncode == 2
    assert "--tls-cert" in ended.stderr
    assert "--behind-proxy" in ended.stderr


def test_it_speaks_tls(redis_url: str, tmp_path: Path) -> None:
    """With a certificate it may listen anywhere, and a browser does not come back without TLS."""
    ca = Authority(tmp_path)
    cert, key = ca.certificate("console")
    trust = ssl.create_default_context(cafile=ca.path)
    options = ("--host", "0.0.0.0", "--tls-cert", str(cert), "--tls-key", str(key))  # noqa: S104 - the test is about it
    namespace = f"t{uuid.uuid4().hex[:12]}"
    with console_program(redis_url, namespace, *options) as running:
        assert running.url.startswith("https://")
        url = running.url.replace("0.0.0.0", "127.0.0.1")  # noqa: S104 - see above
        with httpx.Client(base_url=url, verify=trust) as client:
            answer = client.get("/sign-in")
    assert answer.headers["strict-transport-security"] == "max-age=31536000"
    assert answer.headers["set-cookie"].startswith("__Host-")


def test_it_says_what_is_missing(redis_url: str) -> None:
    """Users, and that a proxy is expected: one sentence, and exit code 2."""
    given = {"REFUNDS_REDIS_URL": redis_url}
    ended = refunds(None, "console", environment=given)
    assert (ended.returncode, "refunds console token" in ended.stderr) == (2, True)
    ended = refunds(None, "console", environment=given | SETTINGS | PROXY)
    assert (ended.returncode, "add --behind-proxy" in ended.stderr) == (2, True)


def test_without_the_extra_it_says_how_to_install_it(redis_url: str) -> None:
    """The base installation has no Jinja2, and all else works."""
    code = "import sys; sys.modules['jinja2'] = None;from worker.cli.main import main; main()"
    settings = SETTINGS | {"REFUNDS_REDIS_URL": redis_url}
    ended = run_program([sys.executable, "-c", code, "console"], settings)
    assert ended.returncode == 2
    assert "dist/WHEEL[console]" in ended.stderr


def test_a_new_token_fits_the_settings() -> None:
    """The token itself is not in them."""
    made = refunds(None, "console", "token", "ann", "--role", "approve", "--json")
    told = json.loads(made.stdout)
    assert told["settings"] == {"ann": {"role": "approve", "sha256": [hash_of(told["token"])]}}
    given = {"REFUNDS_CONSOLE_TOKENS": json.dumps(told["settings"])}
    loaded = load_settings(given | {"REFUNDS_REDIS_URL": "redis://localhost"})
    assert loaded.console_tokens["ann"].role == "approve"
    shown = refunds(None, "console", "token", "vic")
    assert hash_of(shown.stdout.strip()) in shown.stderr
    assert '"role": "view"' in shown.stderr
    for wrong in (("a b",), ("ann@example.com",), ("ann", "--role", "admin")):
        assert refunds(None, "console", "token", *wrong).returncode == 2


@pytest.mark.parametrize(
    "users",
    [
        {"ann": {"sha256": [hash_of(ACT)]}},
        {"ann": {"role": "root"}},
        {"ann": {"role": "view", "sha256": [ACT]}},
        {"ann": {"role": "view", "sha256": [hash_of(ACT)] * 2}},
        {"ann": {"role": "view", "login": "bob"}, "bob": {"role": "act"}},
        {"ann@example.com": {"role": "view"}},
    ],
)
def test_users_that_are_not_clear_are_refused(users: dict[str, object]) -> None:
    """A token or a login belongs to one person, who has a role; the error does not repeat it."""
    with pytest.raises(SettingsError, match="REFUNDS_CONSOLE_TOKENS") as caught:
        load_settings(
            {"REFUNDS_REDIS_URL": "redis://x", "REFUNDS_CONSOLE_TOKENS": json.dumps(users)}
        )
    assert ACT not in str(caught.value)
