"""The users of worker/deploy/acl: each role can do its work, and no more."""

from __future__ import annotations

import pytest

from tests.support.commands import refunds
from tests.support.rig import AFTER, Rig
from tests.support.roles import allows, run_as, signed_in
from worker.deploy.roles import ROLES
from worker.simulator import serve

ORDER_ID = "67668940-527d-4465-94c6-5475d8c7a412"
#: Nobody may do this with these users, and it would show or harm what belongs to others.
NOBODY = (
    "GET {other}:key",
    "SET {other}:key x",
    "SCAN 0",
    "KEYS *",
    "RANDOMKEY",
    "DBSIZE",
    "FLUSHDB",
    "FLUSHALL",
    "SWAPDB 0 1",
    "CONFIG SET maxmemory-policy allkeys-lru",
    "CONFIG GET requirepass",
    "ACL LIST",
    "MONITOR",
    "SHUTDOWN NOSAVE",
    "REPLICAOF NO ONE",
    "SCRIPT FLUSH",
    "FUNCTION FLUSH",
    "PUBLISH x y",
    "CLIENT LIST",
)
#: What changes the audit log otherwise than by an entry at its end.
FALSIFIES = (
    "XDEL {refunds}:audit_log 1-1",
    "XTRIM {refunds}:audit_log MAXLEN 0",
    "DEL {refunds}:audit_log",
    "RENAME {refunds}:audit_log {refunds}:x",
    "EXPIRE {refunds}:audit_log 1",
)
#: What only a worker writes: what it holds, and what the money guards have counted.
OF_THE_WORKER = (
    "DEL {refunds}:lease:s:o",
    "SET {refunds}:lease:s:o x",
    "INCR {refunds}:fence",
    "HDEL {refunds}:guard:* x",
    "DEL {refunds}:usual:*",
    "ZADD {refunds}:workers 1 w",
    "BLMOVE {refunds}:refunds {refunds}:refunds:inflight:w LEFT RIGHT 1",
)
WRITES = (
    "HSET {refunds}:refund:rf-1 state x",
    "RPUSH {refunds}:refunds m-1",
    "XADD {refunds}:audit_log * entry x",
    "DEL {refunds}:outcomes",
)
#: Whole records, jobs and histories.
RECORDS = (
    "HGETALL {refunds}:refund:rf-1",
    "LRANGE {refunds}:history:rf-1 0 -1",
    "HGETALL {refunds}:refunds.msgs",
    "HGETALL {refunds}:store:x",
    "XRANGE {refunds}:audit_log - +",
)
FORBIDDEN = {
    "producer": (*NOBODY, *FALSIFIES, *OF_THE_WORKER, *RECORDS),
    "worker": (*NOBODY, *FALSIFIES),
    "operator": (*NOBODY, *FALSIFIES, *OF_THE_WORKER),
    "metrics": (*NOBODY, *FALSIFIES, *OF_THE_WORKER, *WRITES, *RECORDS),
    "reader": (*NOBODY, *FALSIFIES, *OF_THE_WORKER, *WRITES),
}


@pytest.mark.parametrize("role", ROLES)
def test_a_role_can_do_nothing_else(server: str, role: str) -> None:
    """Neither outside of its namespace, nor what is another role's work."""
    assert [command for command in FORBIDDEN[role] if allows(role, server, command)] == []


@pytest.mark.parametrize("role", ["worker", "operator", "reader"])
def test_the_commands_that_only_read(rig: Rig, server: str, role: str) -> None:
    """A reader needs no more rights than these."""
    rig.request(rig.order(AFTER), "rf-1")
    rig.run_until_idle()
    rig.send_raw("x")
    rig.run_queued()
    for command in ("list", "show rf-1", "dead list", "dead show m-1", "stores list", "outcomes"):
        assert run_as(role, server, *command.split())[0] == 0, command
    assert run_as(role, server, "list", "--order", ORDER_ID, "--text", "y")[0] == 0
    # The dead letter needs a person.
    assert run_as(role, server, "status")[0] == 1


def test_the_worker_passes_the_doctor(rig: Rig, server: str) -> None:
    """It does not start otherwise."""
    rig.run(rig.order(AFTER))
    assert run_as("worker", server, "audit", "--repair")[0] == 0
    with serve(rig.simulator) as wix_url:
        assert run_as("worker", server, "doctor", REFUNDS_WIX_BASE_URL=wix_url)[0] == 0


def test_the_figures_can_be_read(rig: Rig, server: str) -> None:
    """All of `refunds status`: with jobs that wait, dead letters, groups and a paused store."""
    rig.run(rig.order(AFTER))
    rig.send_raw("x")
    rig.run_queued()
    rig.request(rig.order(AFTER), "rf-2")
    assert run_as("operator", server, "pause", "--all", "--reason", "test")[0] == 0
    assert run_as("operator", server, "outcomes", "--group", "g")[0] == 0
    as_operator = refunds(
        None, "status", environment={"REFUNDS_REDIS_URL": signed_in("operator", server)}
    )
    code, told = run_as("metrics", server, "status")
    assert code == 1, told
    assert "1 dead letter" in told or "m-1" in told or "dead" in told
    assert told.splitlines()[0] == (as_operator.stdout + as_operator.stderr).splitlines()[0]


def test_a_missing_right_is_named(rig: Rig, server: str) -> None:
    """With the user and the command, and where to look."""
    rig.run(rig.order(AFTER))
    code, told = run_as("reader", server, "audit", "--repair")
    assert code == 1
    assert "the user in REFUNDS_REDIS_URL lacks a permission" in told
    assert "refunds-reader" in told
