"""What the queue logs: one line for each failed message and each outage, without the job."""

from __future__ import annotations

import io
import json

import pytest
import redis
from dramatiq.errors import ConnectionClosed
from redis._parsers.base import BaseParser

from tests.support.processes import wait_until
from tests.support.rig import AFTER, Rig
from worker.demo.embedded import embedded_server
from worker.ledger.connection import redis_client
from worker.operations import dead_letters
from worker.queue.broker import Broker
from worker.queue.server_errors import explain, is_permanent


def _lines(log: io.StringIO) -> list[dict[str, str]]:
    return [json.loads(line) for line in log.getvalue().splitlines()]


def test_a_failed_message_is_one_line(rig: Rig, log: io.StringIO) -> None:
    """It has the type and place of the error, but neither the job nor a traceback."""

    def broken(**_: object) -> None:
        raise ZeroDivisionError("hunter22")

    rig.may_have_bugs = True
    rig.broker.actors["request_refund"].fn = broken
    rig.request(rig.order(AFTER), "rf-1", reason="canary")
    worker = rig.app.worker()
    worker.start()
    wait_until(lambda: bool(rig.broker.quarantined()))
    worker.stop()
    [line] = [line for line in _lines(log) if line["level"] != "info"]
    assert (line["event"], line["reason"]) == ("message.quarantined", "worker_error")
    assert line["error"].startswith("ZeroDivisionError at test_queue_logs.py:")
    assert "canary" not in log.getvalue()
    [letter] = rig.broker.quarantined()
    shown = dead_letters.find(rig.ledger, rig.broker, letter)
    assert shown is not None
    assert shown["error"] == line["error"]


def test_an_unknown_actor_is_one_line(rig: Rig, log: io.StringIO) -> None:
    """Without dramatiq's traceback."""
    body = {
        "queue_name": "refunds", "actor_name": "of_tomorrow", "args": [], "kwargs": {"a": "canary"},
        "options": {}, "message_id": "m-1", "message_timestamp": 1,
    }  # fmt: skip
    rig.send_raw(json.dumps(body))
    worker = rig.app.worker()
    worker.start()
    wait_until(lambda: bool(rig.broker.quarantined()))
    worker.stop()
    [line] = [line for line in _lines(log) if line["level"] != "info"]
    assert (line["event"], line["reason"]) == ("message.quarantined", "unknown_actor")
    assert "canary" not in log.getvalue()


def test_an_outage_is_one_line_for_each_command(log: io.StringIO) -> None:
    """However often a consumer tries; the next outage is logged again."""
    with embedded_server() as url:
        broker = Broker(redis_client(url, tries=1), namespace="n", middleware=[])
        broker.command("fetch", "refunds", wanted=1, known=[])
        client = redis.Redis.from_url(url)
        for _ in range(2):
            client.config_set("requirepass", "x")
            broker.client.connection_pool.disconnect()
            for _ in range(3):
                with pytest.raises(ConnectionClosed):
                    broker.command("fetch", "refunds", wanted=1, known=[])
            client.config_set("requirepass", "")
            broker.client.connection_pool.disconnect()
            broker.command("fetch", "refunds", wanted=1, known=[])
        broker.client.close()
        client.close()
    assert [line["event"] for line in _lines(log)] == ["worker.redis_lost"] * 2
    assert "asks for a password" in _lines(log)[0]["error"]


def test_a_producer_logs_nothing(log: io.StringIO) -> None:
    """The caller gets the exception; the log is the caller's, not ours."""
    broker = Broker(redis_client("redis://127.0.0.1:1/0", tries=1), namespace="n", middleware=[])
    with pytest.raises(ConnectionClosed):
        broker.put("refunds", "m", "{}")
    assert log.getvalue() == ""


@pytest.mark.parametrize(
    ("answer", "said", "permanent"),
    [
        ("MOVED 3999 127.0.0.1:7001", "a node of a Redis Cluster, and another node holds", True),
        ("ASK 3999 127.0.0.1:7001", "a node of a Redis Cluster, and another node holds", True),
        ("READONLY You can't write against a read only replica.", "read-only replica", False),
        ("ERR Error running script: @user:5: -READONLY You can't", "read-only replica", False),
        ("CLUSTERDOWN Hash slot not served", "Redis Cluster that is not complete", False),
        ("MASTERDOWN Link with MASTER is down", "a replica that has lost its primary", False),
        ("LOADING Redis is loading the dataset in memory", "still loads its data", False),
        ("NOPERM User has no permissions to run the 'get' command", "lacks a permission", True),
        ("OOM command not allowed when used memory > 'maxmemory'.", "no memory left", False),
        ("MISCONF Redis is configured to save RDB snapshots", "refuses the command", False),
    ],
)  # fmt: skip
def test_an_error_of_the_server_is_named_as_what_it_is(
    answer: str, said: str, permanent: bool
) -> None:
    """Not as a server that does not answer: the text says whether waiting helps."""
    error = BaseParser.parse_error(answer)  # type: ignore[no-untyped-call]  # redis-py's
    for each in (error, ConnectionClosed(error)):  # type: ignore[no-untyped-call]  # dramatiq's
        assert said in explain(each)
        assert is_permanent(each) is permanent
    if answer.startswith("MOVED"):
        assert "127.0.0.1:7001" in explain(error)


def test_a_replica_is_named(log: io.StringIO) -> None:
    """After a failover the address may still lead to the old primary, now a replica."""
    with embedded_server() as primary, embedded_server() as url:
        broker = Broker(redis_client(url, tries=1), namespace="n", middleware=[])
        host, port = primary.split("/")[2].split(":")
        broker.client.replicaof(host, port)
        with pytest.raises(ConnectionClosed) as caught:
            broker.command("fetch", "refunds", wanted=1, known=[])
        broker.client.close()
    assert "read-only replica" in explain(caught.value)
    assert "read-only replica" in _lines(log)[0]["error"]
