"""`refunds outcomes`: what became of the refunds."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Annotated

import typer

from worker.cli.common import AsJson, close_at_end, explain_errors, fail, settings
from worker.cli.output import print_outcome, print_outcomes_header, say
from worker.upstream import Outcome, Outcomes, RefundQueue

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
            help="Share the events with the other consumers of this group; printed is read."
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
    if not re.fullmatch(r"[0-9]+(-[0-9]+)?", after):
        fail("--after takes a stream ID as this command prints it, like 1700000000000-0", code=2)
    if consumer and not group:
        fail("--consumer is only for a --group", code=2)
    given = settings()
    queue = RefundQueue(given.redis_url.get_secret_value(), namespace=given.namespace)
    close_at_end(queue.close)
    if not group:
        _print(queue.outcomes(after=after, follow=follow), as_json=as_json)
        return
    try:
        events = queue.outcomes(group=group, consumer=consumer, after=after, follow=follow)
    except ValueError as error:
        fail(str(error), code=2)
    with events:
        _print(_each_acknowledged(events), as_json=as_json)


def _each_acknowledged(events: Outcomes) -> Iterable[Outcome]:
    """Yield the events; each is acknowledged when the next one is asked for."""
    for outcome in events:
        yield outcome
        events.acknowledge(outcome)


def _print(events: Iterable[Outcome], *, as_json: bool) -> None:
    found = 0
    for found, (stream_id, event) in enumerate(events, 1):
        if found == 1 and not as_json:
            print_outcomes_header()
        print_outcome(stream_id, event, as_json=as_json)
    if not found and not as_json:
        say("No events.")
