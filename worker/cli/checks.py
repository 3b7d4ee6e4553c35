"""Commands that look: outcomes, audit, doctor."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from config.loading import load_settings
from worker.app import keyring_from, ledger_from, stores_from, wix_from
from worker.cli.common import AsJson, connect, fail, settings, told
from worker.cli.output import print_json, print_outcome, print_table, say
from worker.ledger.connection import redis_client
from worker.ledger.refunds import Ledger
from worker.operations import audit as auditing
from worker.operations.doctor import examine
from worker.refund.outcomes import read

EXAMPLES = {
    "outcomes": "Example: refunds outcomes --follow --json | your-service",
    "audit": "Example: refunds audit --repair",
    "doctor": "Example: refunds doctor --json",
}


@told
def outcomes(
    follow: Annotated[bool, typer.Option("--follow", help="Wait for more.")] = False,
    after: Annotated[str, typer.Option(help="Go on after this stream id.")] = "0",
    as_json: AsJson = False,
) -> None:
    """Print what upstream hears, oldest first; with --json one CloudEvent a line."""
    if not re.fullmatch(r"[0-9]+(-[0-9]+)?", after):
        fail("--after takes a stream id as this command prints it, like 1700000000000-0", 2)
    given = settings()
    client = redis_client(given.redis_url.get_secret_value())
    for stream_id, event in read(client, given.namespace, after=after, follow=follow):
        print_outcome(stream_id, event, as_json=as_json)


#: What to do about what an audit finds.
REPAIRS = "`refunds audit --repair` sets going what is not where it should be."
DISAGREES = (
    "Where Wix shows something else, look at the order in the Wix dashboard: `refunds show ID`"
    " tells what we know. What could not be compared: check REFUNDS_WIX_BASE_URL, then try again."
)


@told
def audit(
    repair: Annotated[bool, typer.Option("--repair", help="Set what is lost going.")] = False,
    against_wix: Annotated[
        bool, typer.Option("--against-wix", help="Compare what is finished with Wix's books.")
    ] = False,
    rate: Annotated[float, typer.Option(min=0.01, help="Refunds compared in a second.")] = 1.0,
    as_json: AsJson = False,
) -> None:
    """Prove that every refund is in exactly one place; exit 1 if one is not."""
    _, ledger = connect()
    with _progress("looking", ledger.count()) as bar:
        found = list(auditing.audit(ledger, repair=repair, progress=bar))
    compared = _compared(ledger, rate) if against_wix else []
    rows = [asdict(problem) for problem in (*found, *compared)]
    if as_json:
        print_json(
            {"ok": not rows, "refunds": ledger.count(), "repaired": repair, "problems": rows}
        )
    elif rows:
        print_table(rows, ("refund_id", "problem"))
        if found:
            say("Repaired; the refunds go on." if repair else REPAIRS)
        if compared:
            say(DISAGREES)
    else:
        say(f"{ledger.count()} refunds, each in exactly one place.")
    if rows:
        raise typer.Exit(1)


def _compared(ledger: Ledger, rate: float) -> list[auditing.Problem]:
    given = load_settings(os.environ)
    stores = stores_from(given, ledger_from(given)[0])
    count = ledger.count()
    finished = [r for state in auditing.COMPARED for r in ledger.newest(state=state, limit=count)]
    with _progress("asking Wix", len(finished)) as bar:
        return list(
            auditing.against_wix(
                iter(finished),
                keyring=keyring_from(given),
                stores=stores,
                wix=wix_from(given),
                per_s=rate,
                progress=bar,
            )
        )


@contextmanager
def _progress(text: str, total: int) -> Iterator[Callable[[int], None]]:
    """A bar on standard error; nothing where nobody watches."""
    console = Console(stderr=True)
    with Progress(console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task(text, total=total)
        yield lambda done: bar.advance(task, done)


@told
def doctor(as_json: AsJson = False) -> None:
    """Say whether this installation is fit to move money; exit 1 if it is not."""
    given = settings()
    ledger_from(given)
    findings = examine(redis_client(given.redis_url.get_secret_value()))
    is_fit = all(finding.verdict != "refused" for finding in findings)
    rows = [asdict(finding) for finding in findings]
    if as_json:
        print_json({"ok": is_fit, "findings": rows})
    else:
        print_table(rows, ("check", "verdict", "text"))
    if not is_fit:
        raise typer.Exit(1)
