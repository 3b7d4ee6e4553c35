"""The ACL file that `users.sh` makes of worker/deploy/acl, read by a real server."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.support.roles import server_with_users
from worker.deploy.files import FOLDER
from worker.deploy.roles import ROLES


def _acl_file(passwords: Path) -> str:
    command = ("sh", str(FOLDER / "acl" / "users.sh"), str(passwords))
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def _client(port: int, user: str | None = None, password: str | None = None) -> redis.Redis:
    """Return a client that tries once: by default it repeats a refused sign-in for seconds."""
    once = Retry(NoBackoff(), 0)
    return redis.Redis(host="127.0.0.1", port=port, username=user, password=password, retry=once)


def _can_sign_in(port: int, user: str, password: str) -> bool:
    with _client(port, user, password) as client:
        try:
            return bool(client.ping())
        except redis.AuthenticationError:
            return False


def test_each_role_signs_in_with_its_own_password(tmp_path: Path) -> None:
    """A role without a password has no user, and the default user can do nothing."""
    given = {name: f"secret of {name}" for name in ROLES if name != "metrics"}
    passwords = tmp_path / "passwords"
    passwords.mkdir()
    for name, password in given.items():
        (passwords / name).write_text(f"{password}\n")
    users = _acl_file(passwords)
    assert not any(password in users for password in given.values())
    with server_with_users(users, tmp_path) as port:
        can = [name for name in given if _can_sign_in(port, f"refunds-{name}", given[name])]
        assert can == list(given)
        for name, password in (("metrics", ""), ("metrics", "x"), ("worker", given["operator"])):
            assert not _can_sign_in(port, f"refunds-{name}", password)
        with _client(port) as client, pytest.raises(redis.AuthenticationError):
            client.get("x")


def test_without_a_password_nobody_signs_in(tmp_path: Path) -> None:
    """The files as they are exported hold no password that somebody could forget to change."""
    files = sorted((FOLDER / "acl").glob("*.acl"))
    users = "".join(file.read_text() for file in files) + "user admin on >a ~* +@all\n"
    with server_with_users(users, tmp_path) as port:
        with _client(port, "admin", "a") as client:
            assert len(client.acl_users()) == len(files) + 1
        tries = [(name, word) for name in ROLES for word in ("", "PASSWORD", "refunds")]
        assert [one for one in tries if _can_sign_in(port, f"refunds-{one[0]}", one[1])] == []
