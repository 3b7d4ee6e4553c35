"""What counts as an answer of a webhook."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from worker.webhooks.sending import Sender


class _Broken(httpx.SyncByteStream):
    """A body that never ends, and then fails."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        self.is_closed = False

    def __iter__(self) -> Iterator[bytes]:
        yield b"begun"
        raise self.error

    def close(self) -> None:
        self.is_closed = True


@pytest.mark.parametrize("status", [200, 503])
@pytest.mark.parametrize("error", [httpx.ReadTimeout("slow"), httpx.RemoteProtocolError("broken")])
def test_the_status_says_all_whatever_the_body_does(status: int, error: Exception) -> None:
    """A receiver that has taken an event must not get it again for three days."""
    body = _Broken(error)
    transport = httpx.MockTransport(lambda _: httpx.Response(status, stream=body))
    answer = Sender(transport, "https://shop.example/").post({}, b"{}")
    assert (answer.status, answer.is_ok) == (status, status == 200)
    assert body.is_closed
