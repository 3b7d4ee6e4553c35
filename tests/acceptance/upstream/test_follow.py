"""`refunds outcomes --follow` survives a restart of Redis."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import redis

from worker.cli.outcomes import read
from worker.demo.embedded import embedded_server
from worker.upstream import RefundQueue

STREAM = "{refunds}:outcomes"


def _write(url: str, number: int) -> None:
    """Write one event, as the ledger does."""
    event = f'{{"id": "e{number}", "subject": "rf-1"}}'
    with redis.Redis.from_url(url) as client:
        client.xadd(STREAM, {"event": event})


@pytest.mark.parametrize("group", ["", "billing"])
def test_following_goes_on_behind_the_last_event(
    group: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each event comes once; while Redis is away, the command says so once and waits."""
    pauses: list[float] = []
    with ExitStack() as servers, ExitStack() as first:
        url = first.enter_context(embedded_server(directory=tmp_path))
        port = urlsplit(url).port or 0

        def pause(seconds: float) -> None:
            pauses.append(seconds)
            if len(pauses) == 2:
                servers.enter_context(embedded_server(port=port, directory=tmp_path))
                _write(url, 2)

        _write(url, 1)
        queue = servers.enter_context(RefundQueue(url))
        given = queue.outcomes(group=group, follow=True)
        events = read(given, is_patient=True, acknowledges=bool(group), pause=pause)
        assert next(events).event["id"] == "e1"
        first.close()
        assert next(events).event["id"] == "e2"
        with redis.Redis.from_url(url) as client:
            waiting = client.xpending(STREAM, group)["pending"] if group else 1
        assert waiting == 1  # the last one, which is acknowledged when the next one is asked for
    assert pauses == [1.0, 1.0]
    assert capsys.readouterr().err.count("does not answer") == 1


def test_without_following_an_outage_ends_the_command(tmp_path: Path) -> None:
    """A script must see that it has not got all events."""
    with ExitStack() as servers:
        url = servers.enter_context(embedded_server(directory=tmp_path))
        _write(url, 1)
        with RefundQueue(url) as queue:
            events = read(queue.outcomes(), is_patient=False, acknowledges=False)
            servers.close()
            with pytest.raises(redis.ConnectionError):
                next(events)
