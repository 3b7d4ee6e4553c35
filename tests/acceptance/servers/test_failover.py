"""An old primary goes on answering as a replica: nobody may stay with it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import redis

from tests.chaos.proxy import Proxy, proxied, redis_size
from tests.support.processes import wait_until
from worker.demo.embedded import embedded_server
from worker.ledger.connection import redis_client


def _port(url: str) -> int:
    return int(url.rpartition(":")[2].partition("/")[0])


@contextmanager
def _behind_one_address() -> Iterator[tuple[Proxy, Any, Any]]:
    """Yield an address that leads to the first of two servers, and both servers."""
    with (
        embedded_server() as first_url,
        embedded_server() as second_url,
        redis.Redis.from_url(first_url) as first,
        redis.Redis.from_url(second_url) as second,
        proxied(_port(first_url), lambda _: "any", redis_size) as address,
    ):
        # Else a primary that ends waits for its replica.
        second.config_set("shutdown-timeout", 0)
        yield address, first, second


def _clients(server: Any) -> dict[str, Any]:
    return dict(server.info("clients"))


def _fail_over(address: Proxy, first: Any, second: Any) -> None:
    """Swap primary and replica; the address leads to the new one, but old connections stay."""
    port = second.connection_pool.connection_kwargs["port"]
    first.replicaof("127.0.0.1", port)
    address.lead_to(port, cut=False)


def _script(client: redis.Redis) -> object:
    return client.register_script("return redis.call('INCR', KEYS[1])")(keys=["n"])


def _pipeline(client: redis.Redis) -> object:
    with client.pipeline(transaction=True) as pipe:
        pipe.incr("n")
        pipe.incr("n")
        return pipe.execute()


def _transactionless(client: redis.Redis) -> object:
    with client.pipeline(transaction=False) as pipe:
        pipe.incr("n")
        pipe.incr("n")
        return pipe.execute()


@pytest.mark.parametrize("write", [_script, _pipeline, _transactionless])
def test_a_write_that_meets_the_old_primary_goes_to_the_new_one(write: Any) -> None:
    """In the same call: the caller notices nothing, and nothing is written twice."""
    with _behind_one_address() as (address, first, second):
        client = redis_client(f"redis://127.0.0.1:{address.port}/0")
        write(client)
        written = int(str(first.get("n"), "ascii"))
        _fail_over(address, first, second)
        write(client)
        assert second.get("n") == str(written).encode()
        client.close()


def test_every_connection_to_the_old_primary_is_dropped() -> None:
    """A pool keeps many; each of them would answer READONLY for as long as it lives."""
    with _behind_one_address() as (address, first, second):
        client = redis_client(f"redis://127.0.0.1:{address.port}/0")
        pool: Any = client.connection_pool
        opened = [pool.get_connection() for _ in range(3)]
        for connection in opened:
            pool.release(connection)
        _fail_over(address, first, second)
        used = [pool.get_connection() for _ in range(3)]
        for connection in used:
            connection.send_command("SET", "a", "1")
            with pytest.raises(redis.ReadOnlyError):
                connection.read_response()
            assert connection._sock is None
        client.close()


def test_a_blocked_fetch_is_asked_again() -> None:
    """A server that becomes a replica ends blocking commands with the error UNBLOCKED."""
    with _behind_one_address() as (address, first, second):
        client = redis_client(f"redis://127.0.0.1:{address.port}/0")
        second.rpush("from", "one")
        blocked: Any = client.connection_pool.get_connection()
        blocked.send_command("BLMOVE", "from", "to", "LEFT", "RIGHT", "0")
        wait_until(lambda: _clients(first)["blocked_clients"])
        _fail_over(address, first, second)
        with pytest.raises(redis.ConnectionError, match="UNBLOCKED"):
            blocked.read_response()
        assert client.blmove("from", "to", 1, "LEFT", "RIGHT") == "one"
        client.connection_pool.release(blocked)
        client.close()


@pytest.mark.parametrize("code", ["READONLY", "MASTERDOWN", "CLUSTERDOWN", "NOREPLICAS"])
def test_an_error_inside_of_a_script_is_understood(code: str, redis_url: str) -> None:
    """Before Redis 7 the code stands in the middle of the text."""
    with redis_client(redis_url, tries=1) as client:
        connection: Any = client.connection_pool.get_connection()
        text = f"return redis.error_reply('ERR Error running script: @user_script:5: -{code} No.')"
        connection.send_command("EVAL", text, 0)
        with pytest.raises(redis.ResponseError):
            connection.read_response()
        assert connection._sock is None
        client.connection_pool.release(connection)
