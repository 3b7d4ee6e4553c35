"""`refunds outcomes`: what became of the refunds."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Annotated, TypeVar

import redis
import typer
from redis import exceptions

from worker.cli.common import AsJson, close_at_end, explain_errors, fail, settings
from worker.cli.output import print_outcome, print_outcomes_header, say
from worker.queue.server_errors import explain, is_permanent
from worker.upstream import Outcome, Outcomes, RefundQueue

T = TypeVar("T")
#: Errors of a Redis that restarts, or that another server takes over from.
PASSING = (
    redis.ConnectionError,
    redis.TimeoutError,
    exceptions.ReadOnlyError,
    exceptions.ClusterDownError,
    exceptions.TryAgainError,
)
#: The pause between two attempts to reach Redis again.
LOST_PAUSE_S = 1.0
EXAMPLE = "Example: refunds outcomes --group billing --follow --json | your-service"


@explain_errors
def outcomes(
    follow: Annotated[
        bool, typer.Option("--follow", help="Keep waiting for new ones until Ctrl-C.")
    ] = False,
    after: Annotated[
        str, typer.Option(help="Start after this stream ID; a group that exists goes on instead.")
    ] = "0",
    group: Annotated[
        str,
        typer.Option(
            help="Share the events with this group's other consumers; printed ones count as read."
        ),
    ] = "",
    consumer: Annotated[
        str, typer.Option(help="The name of this consumer; that of the process if omitted.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Print the events for upstream services.

    Oldest first; with --json, one CloudEvent per line.
    """
    if not re.fullmatch(r"[0-9]+(-[0-9]+)?(,[0-9]+(-[0-9]+)?)*", after):
        fail("--after takes a stream ID as this command prints it, like 1700000000000-0", code=2)
    if consumer and not group:
        fail("--consumer is only for a --group", code=2)
    given = settings()
    queue = RefundQueue(given.redis_url.get_secret_value(), namespace=given.namespace)
    close_at_end(queue.close)
    try:
        events = queue.outcomes(group=group, consumer=consumer, after=after, follow=follow)
    except ValueError as error:
        fail(str(error), code=2)
    with events:
        _print(read(events, is_patient=follow, acknowledges=bool(group)), as_json=as_json)


def _wait(seconds: float) -> None:
    threading.Event().wait(seconds)


def _answer(ask: Callable[[], T], pause: Callable[[float], object]) -> T:
    """Ask, and ask again while Redis does not answer."""
    is_told = False
    while True:
        try:
            return ask()
        except PASSING as error:
            if is_permanent(error):
                raise
            if not is_told:
                say(f"{explain(error)} Waiting for it.")
            is_told = True
            pause(LOST_PAUSE_S)


def read(
    events: Outcomes,
    *,
    is_patient: bool,
    acknowledges: bool,
    pause: Callable[[float], object] = _wait,
) -> Iterator[Outcome]:
    """Yield the events; *is_patient* waits for a Redis that restarts, and goes on where it was.

    With *acknowledges*, each is acknowledged when the next one is asked for.
    """

    def ask(call: Callable[[], T]) -> T:
        return _answer(call, pause) if is_patient else call()

    while outcome := ask(lambda: next(events, None)):
        yield outcome
        if acknowledges:
            ask(partial(events.acknowledge, outcome))


def _print(events: Iterable[Outcome], *, as_json: bool) -> None:
    found = 0
    for found, (stream_id, event) in enumerate(events, 1):
        if found == 1 and not as_json:
            print_outcomes_header()
        print_outcome(stream_id, event, as_json=as_json)
    if not found and not as_json:
        say("No events.")
