"""With `users.sh PASSWORDS cells`, each role may do the same in all cells, and nothing else."""

from __future__ import annotations

import json
import subprocess
import uuid
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
import redis

from tests.support.cells import Cells
from tests.support.commands import refunds
from tests.support.rig import KEY, STORE_ID
from worker.cells.choosing import choose
from worker.demo.embedded import embedded_server
from worker.deploy.files import FOLDER
from worker.deploy.roles import ROLES
from worker.upstream import RefundQueue

_PASSWORD = "a-password-of-a-test"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server with these users."""
    passwords = tmp_path_factory.mktemp("passwords")
    for role in ROLES:
        (passwords / role).write_text(_PASSWORD)
    command = ["sh", str(FOLDER / "acl" / "users.sh"), str(passwords), "cells"]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    with embedded_server() as url:
        with redis.Redis.from_url(url) as client:
            for line in lines:
                name, *rules = line.split(" ", 2)[1:]
                if name != "default":
                    client.execute_command("ACL", "SETUSER", name, *_rules(" ".join(rules)))
        yield url


def _rules(text: str) -> list[str]:
    """Return the rules; what is in brackets is one."""
    rules: list[str] = []
    for word in text.split():
        if rules and rules[-1].startswith("(") and not rules[-1].endswith(")"):
            rules[-1] += f" {word}"
        else:
            rules.append(word)
    return rules


def _signed_in(role: str, url: str) -> str:
    parts = urlsplit(url)
    return f"redis://refunds-{role}:{_PASSWORD}@{parts.hostname}:{parts.port}/0"


def test_each_role_reaches_all_cells(server: str) -> None:
    """The worker refunds, the producer reads, the reader looks, the operator acts."""
    cells = Cells(_signed_in("worker", server), namespace="refunds", watcher_url=server)
    refund_id = cells.request()
    cells.run()
    assert cells.where(refund_id) == [choose(STORE_ID, 3)]
    with RefundQueue(_signed_in("producer", server)) as queue:
        assert queue.status(refund_id).state == "refunded"
        with queue.outcomes(group="billing") as events:
            assert {one.event["subject"] for one in events} == {refund_id}
        queue.request(refund_id="rf-2", store_id=STORE_ID, order_id=_ORDER)
    with (
        redis.Redis.from_url(_signed_in("producer", server)) as client,
        pytest.raises(redis.exceptions.NoPermissionError),
    ):
        client.hset("{refunds:0}:refund:rf-1", "state", "refunded")
    looks = {"REFUNDS_REDIS_URL": _signed_in("reader", server)}
    assert refunds(None, "show", refund_id, environment=looks).returncode == 0
    assert refunds(None, "list", environment=looks).returncode == 0
    figures = {"REFUNDS_REDIS_URL": _signed_in("metrics", server)}
    assert '"cells"' in refunds(None, "status", "--json", environment=figures).stdout
    acts = {"REFUNDS_REDIS_URL": _signed_in("operator", server)}
    run = refunds(None, "pause", "--all", "--reason", "a test", environment=acts)
    assert run.returncode == 0, run.stderr
    new = str(uuid.uuid4())
    given = json.dumps({new: {"account_id": "a", "api_key": KEY}})
    command = ("stores", "pause", new, "--reason", "a test")
    run = refunds(None, *command, environment=acts | {"REFUNDS_STORES": given})
    assert run.returncode == 0, run.stderr
    assert cells.directory.known(new) == choose(new, 3)
    cells.close()


_ORDER = "67668940-527d-4465-94c6-5475d8c7a412"
