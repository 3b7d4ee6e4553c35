"""`refunds status`: one look at everything."""

from __future__ import annotations

from typing import Any

import typer

from config.settings import Settings
from worker.app import ledger_from, membership_from
from worker.cli.common import AsJson, close_at_end, explain_errors, settings
from worker.cli.output import print_json, print_line
from worker.operations import status as looking
from worker.operations.status_lines import need_lines, status_lines

EXAMPLE = "Example: refunds status --json | jq .needs"


@explain_errors
def status(as_json: AsJson = False) -> None:
    """Say how things stand, at one look.

    The exit code is 1 if something needs a person: each reason comes with the command to type next.
    """
    given = settings()
    told = read(given, connect_for(given))
    if as_json:
        print_json(told)
    else:
        for label, text in status_lines(told):
            print_line(f"{label:<13}{text}")
        print_line()
        print_line("Needs a person:" if told["needs"] else "Nothing needs a person.")
        for line in need_lines(told["needs"]):
            print_line(f"  {line}")
    if not told["ok"]:
        raise typer.Exit(1)


def connect_for(given: Settings) -> Any:
    """Return a client that the command closes when it ends."""
    broker, _ = ledger_from(given)
    close_at_end(broker.client.close)
    return broker.client


def read(given: Settings, client: Any, *, minutes: int = 10) -> dict[str, Any]:
    """Return the status; another ledger than ours is what needs a person first."""
    told = looking.status(
        client,
        given.namespace,
        dead_after_ms=given.worker_dead_after_ms,
        settle_delay_ms=given.settle_delay_ms,
        minutes=minutes,
    )
    refused = [f.text for f in membership_from(given, client).findings() if f.level == "refused"]
    told["needs"][:0] = [{"text": text, "command": "refunds doctor"} for text in refused]
    told["ok"] = not told["needs"]
    return told
