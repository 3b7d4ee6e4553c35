"""Whoever opens connections, and sends no request or reads no answer, keeps nobody out for long."""

from __future__ import annotations

import asyncio
import socket
from unittest.mock import Mock

import pytest
from starlette.responses import PlainTextResponse
from uvicorn import Config
from uvicorn.server import ServerState

from tests.support.processes import PATIENCE_S
from worker.serving import prompt
from worker.serving.prompt import PromptProtocol

WHOLE = b"GET / HTTP/1.1\r\nHost: refunds.example\r\n\r\n"


async def _sees_the_end(first: bytes, then: bytes) -> bool:
    """Send this, and after an answer that; return whether the server closes the connection."""
    app = PlainTextResponse("done")
    config = Config(app, http=PromptProtocol, ws="none", lifespan="off", log_config=None)
    config.load()
    state = ServerState()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: PromptProtocol(config=config, server_state=state, app_state={}), "127.0.0.1", 0
    )
    async with server, asyncio.timeout(PATIENCE_S):
        host, port = server.sockets[0].getsockname()
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(first)
        if then:
            await reader.readuntil(b"done")
            writer.write(then)
        rest = await reader.read()
        writer.close()
    return rest == b"" and not state.connections


@pytest.mark.parametrize(
    ("first", "then"), [(b"", b""), (WHOLE[:20], b""), (WHOLE, b"G"), (WHOLE, WHOLE[:20])]
)
def test_a_request_that_does_not_arrive_ends_its_connection(
    monkeypatch: pytest.MonkeyPatch, first: bytes, then: bytes
) -> None:
    """The first one, or one that follows."""
    monkeypatch.setattr(prompt, "HEAD_S", 0.05)
    assert asyncio.run(_sees_the_end(first, then))


async def _is_lost(answer_bytes: int) -> bool:
    """Ask for an answer of this size, read nothing; return whether the server gives up."""
    config = Config(
        PlainTextResponse(b"x" * answer_bytes),
        http=PromptProtocol,
        ws="none",
        lifespan="off",
        log_config=None,
    )
    config.load()
    state, lost = ServerState(), asyncio.Event()

    class _Noted(PromptProtocol):
        def connection_lost(self, exc: Exception | None) -> None:
            """Note it."""
            super().connection_lost(exc)
            lost.set()

    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: _Noted(config=config, server_state=state, app_state={}), "127.0.0.1", 0
    )
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        async with server, asyncio.timeout(PATIENCE_S):
            client.connect(server.sockets[0].getsockname())
            client.sendall(WHOLE)
            await lost.wait()
    return not state.connections


def test_an_answer_that_nobody_reads_ends_its_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is more than the system keeps for a connection."""
    monkeypatch.setattr(prompt, "READ_S", 0.05)
    assert asyncio.run(_is_lost(20_000_000))


def test_whoever_reads_slowly_gets_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """As long as something was read in the time."""
    monkeypatch.setattr(prompt, "READ_S", 0.0)
    left = iter([300, 200, 100, 100])
    aborted = []

    async def _read() -> None:
        config = Config(PlainTextResponse("x"), http=PromptProtocol, ws="none", log_config=None)
        config.load()
        protocol = PromptProtocol(config=config, server_state=ServerState(), app_state={})
        protocol.flow = Mock()
        protocol.transport = Mock()
        protocol.transport.get_write_buffer_size = lambda: next(left)
        protocol.transport.abort = lambda: aborted.append(list(left))
        protocol.pause_writing()
        while not aborted:
            await asyncio.sleep(0)

    asyncio.run(_read())
    assert aborted == [[]]
