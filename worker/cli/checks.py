"""`refunds audit` and `doctor`: commands that look at what is there."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Annotated

import redis
import typer

from config.loading import load_settings, unknown_variables
from config.settings import Settings
from worker.app import keyring_from, ledger_from, membership_from, stores_from, way_of, wix_from
from worker.cells.names import cell_of
from worker.cells.routing import directory_from
from worker.cli.cells import in_each_cell
from worker.cli.common import (
    AsJson,
    close_at_end,
    connect,
    explain_errors,
    fail,
    of_current_cell,
    settings,
)
from worker.cli.operator import By, OptionalWhy, operator
from worker.cli.output import (
    if_encodable,
    print_json,
    print_table,
    say,
)
from worker.cli.progress import progress
from worker.ledger.audit_log import Operator
from worker.ledger.connection import redis_client
from worker.ledger.refunds import Ledger
from worker.operations import audit as auditing
from worker.operations.archive.checkup import keeping_finding
from worker.operations.cell_findings import cell_findings
from worker.operations.checkup import (
    outcomes_findings,
    queue_findings,
    server_findings,
    settings_findings,
    status_page_finding,
    wix_finding,
    worker_findings,
)
from worker.operations.doctor import examine
from worker.operations.finding import UNFIT, Finding
from worker.operations.installation import Membership
from worker.operations.settling import settling_findings
from worker.operations.status import status
from worker.operations.vault_check import vault_finding
from worker.refund.record import Refund
from worker.wix import status_page
from worker.wix.deadline import tls_context
from worker.wix.reach import Reached, reach
from worker.wix.tunnel import parse_proxy

EXAMPLES = {
    "audit": "Example: refunds audit --repair",
    "doctor": "Example: refunds doctor",
}


#: The sign of a result, and what stands for it where it cannot be shown.
MARKS = {"ok": ("\u2713", "ok"), "note": ("\u00b7", "note")}

#: What to do about the problems that an audit finds.
HOW_TO_REPAIR = "Run `refunds audit --repair` to put these refunds back where they belong."
HOW_TO_COMPARE = (
    "Where Wix shows something else, compare `refunds show ID` with the order in the Wix dashboard."
    " Where Wix could not be asked, check REFUNDS_WIX_BASE_URL and try again."
)

#: What to do after an adoption.
NEXT = "Start the workers, and let upstream send again each job without a final outcome."


@explain_errors
@in_each_cell
def audit(
    repair: Annotated[bool, typer.Option("--repair", help="Requeue lost refunds.")] = False,
    against_wix: Annotated[
        bool,
        typer.Option("--against-wix", help="Also compare finished refunds with Wix's records."),
    ] = False,
    rate: Annotated[
        float, typer.Option(min=0.01, help="Refunds to compare with Wix per second.")
    ] = 1.0,
    by: By = "",
    reason: OptionalWhy = "",
    as_json: AsJson = False,
) -> None:
    """Check that no refund is lost.

    Each must be in exactly one place: queued, waiting, finished or a dead letter. The exit code is
    1 if one is in no place or in several, or if Wix's records disagree.
    """
    broker, ledger = connect()
    _require_own_ledger(membership_from(of_current_cell(load_settings(os.environ)), broker.client))
    found = _checked(ledger, operator(by, reason) if repair else None)
    finished = _finished(ledger) if against_wix else []
    differing = _compare(finished, rate) if against_wix else []
    rows = [asdict(problem) for problem in (*found, *differing)]
    if as_json:
        counts = {**_counts(ledger), "compared": len(finished) if against_wix else None}
        print_json({"ok": not rows, **counts, "repaired": repair, "problems": rows})
    else:
        if rows:
            print_table(rows, ("refund_id", "problem"))
        if found:
            say("Repaired: these refunds continue." if repair else HOW_TO_REPAIR)
        else:
            say(f"Each refund is in exactly one place ({_counted(ledger)}).")
        if differing:
            say(HOW_TO_COMPARE)
        elif against_wix:
            say(f"Wix's records agree with each finished refund ({len(finished)} compared).")
    if rows:
        raise typer.Exit(1)


def _counts(ledger: Ledger) -> dict[str, int]:
    return {"refunds": ledger.count(), "forgotten": ledger.keeping.forgotten()}


def _counted(ledger: Ledger) -> str:
    counts = _counts(ledger)
    archived = f"; {counts['forgotten']:,} more are in the archive" if counts["forgotten"] else ""
    return f"{counts['refunds']} checked{archived}"


def _checked(ledger: Ledger, repair: Operator | None) -> list[auditing.Problem]:
    with progress("checking", ledger.count()) as advance:
        return list(auditing.audit(ledger, repair=repair, progress=advance))


def _require_own_ledger(membership: Membership) -> None:
    """An audit of the wrong ledger would say that all is well."""
    for finding in membership.findings():
        if finding.level == "refused":
            fail(finding.text)
        if finding.level == "warning":
            say(finding.text)


def _finished(ledger: Ledger) -> list[Refund]:
    count = ledger.count()
    return [r for state in auditing.COMPARED for r in ledger.newest(state=state, limit=count)]


def _compare(finished: Sequence[Refund], rate: float) -> list[auditing.Problem]:
    given = of_current_cell(load_settings(os.environ))
    broker, _ = ledger_from(given)
    wix = wix_from(given)
    close_at_end(broker.client.close)
    close_at_end(wix.close)
    with progress("asking Wix", len(finished)) as advance:
        return list(
            auditing.against_wix(
                iter(finished),
                keyring=keyring_from(given),
                stores=stores_from(given, broker),
                wix=wix,
                per_s=rate,
                progress=advance,
            )
        )


def _adopt(membership: Membership, who: Operator) -> tuple[Finding, ...]:
    adopted = membership.adopt(who)
    if not adopted.installation:
        say("There is nothing to adopt.")
    else:
        say(f"Adopted: the ledger at {membership.place} is {adopted.installation}. {NEXT}")
    return adopted.findings


def _of_settings() -> Iterator[Finding]:
    return settings_findings(unknown_variables(os.environ), os.environ)


def _of_ledger(given: Settings, client: redis.Redis) -> Iterator[Finding]:
    """Check what depends on the server, once it is known to be fit."""
    broker, ledger = ledger_from(given)
    close_at_end(broker.client.close)
    told = status(
        client,
        given.namespace,
        dead_after_ms=given.worker_dead_after_ms,
        settle_delay_ms=given.settle_delay_ms,
        minutes=1,
    )
    yield from server_findings(client, told)
    yield vault_finding(keyring_from(given), stores_from(given, broker))
    yield from worker_findings(told, given)
    yield from settling_findings(told, cell_of(given.namespace))
    yield from queue_findings(ledger, told)
    yield keeping_finding(ledger.keeping, given)
    yield from outcomes_findings(told, ledger.ns)
    clients, directory = directory_from(given, {})
    close_at_end(clients.close)
    whole = load_settings(os.environ)
    limits = {name: getattr(whole, name) for name in ("guard_all_hour", "guard_all_day")}
    yield from cell_findings(given, directory, limits)


def _reach(given: Settings) -> Reached:
    """Ask Wix as the worker does."""
    way = way_of(given)
    return reach(
        given.wix_base_url,
        given.wix_connect_timeout_ms / 1000,
        proxy=parse_proxy(way.proxy) if way.proxy else None,
        context=lambda: tls_context(way.ca_file),
    )


def _print_findings(findings: Sequence[Finding], *, as_json: bool) -> bool:
    """Print them; return whether the installation is fit."""
    is_fit = all(finding.level not in UNFIT for finding in findings)
    rows = [
        {"check": f.check, "result": f.level, "text": f.text, "what to do": f.todo}
        for f in findings
    ]
    if as_json:
        # Programs know the result as "verdict".
        names = {"result": "verdict", "what to do": "what_to_do"}
        public = [{names.get(k, k): v for k, v in r.items()} for r in rows]
        print_json({"ok": is_fit, "findings": public})
    else:
        for row in rows:
            row[""] = if_encodable(*MARKS.get(row["result"], ("\u2717", "not ok")))
        print_table(rows, ("", "check", "result", "text", "what to do"))
    return is_fit


@explain_errors
@in_each_cell
def doctor(
    adopt: Annotated[
        bool,
        typer.Option("--adopt", help="Accept the present ledger instead of the previous one."),
    ] = False,
    by: By = "",
    reason: OptionalWhy = "",
    as_json: AsJson = False,
) -> None:
    """Check that this installation is safe to run.

    The exit code is 1 if it is not: the worker refuses to start then, or Wix does not answer.
    With --adopt, an empty or another ledger is accepted first; for REFUNDS_SETTLE_DELAY_MS after
    that, the worker changes nothing at Wix.
    """
    given = settings()
    ledger_from(given)
    client = redis_client(given.redis_url.get_secret_value(), namespace=given.namespace)
    close_at_end(client.close)
    findings = [
        *_of_settings(),
        *examine(client, given.redis_wait_replicas, namespace=given.namespace),
    ]
    if findings[-1].check != "reachable":
        membership = membership_from(given, client)
        if adopt:
            findings += _adopt(membership, operator(by, reason))
        findings += [*membership.findings(), *_of_ledger(given, client)]
    timeout_s = given.wix_connect_timeout_ms / 1000
    findings.append(wix_finding(lambda: _reach(given)))
    findings += status_page_finding(given.wix_base_url, lambda: status_page.look(timeout_s))
    is_fit = _print_findings(findings, as_json=as_json)
    if not is_fit:
        raise typer.Exit(1)
