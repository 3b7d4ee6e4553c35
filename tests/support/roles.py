"""Users of Redis for the tests: the roles of worker/deploy, and programs that sign in as them."""

from __future__ import annotations

import re
from typing import Any

import redis

from tests.support.commands import refunds
from worker.deploy.roles import ROLES


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
