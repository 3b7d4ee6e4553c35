"""Whoever opens connections and sends no request keeps nobody else out for long."""

from __future__ import annotations

import asyncio

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
