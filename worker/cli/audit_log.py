"""`refunds audit-log`: who did what, when and why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from worker.cli.cells import in_each_cell
from worker.cli.common import AsJson, Limit, connect, explain_errors, fail
from worker.cli.moments import Since, since_ms
from worker.cli.output import moment, print_json, print_table, say
from worker.ledger.audit_log import AuditLog

EXAMPLE = "Example: refunds audit-log --since 24h"


@explain_errors
@in_each_cell
def audit_log(
    since: Since = "",
    verify: Annotated[
        bool, typer.Option("--verify", help="Check the whole chain: exit code 1 if it is broken.")
    ] = False,
    limit: Limit = 100,
    as_json: AsJson = False,
) -> None:
    """Show who did what, when and why. The newest entries, the oldest of them first.

    Each entry holds the hash of the one before, so that no entry can be changed or left out later.
    """
    start_ms = since_ms(since)
    _, ledger = connect()
    if verify:
        _verify(ledger.audit_log, as_json=as_json)
        return
    count = ledger.audit_log.count()
    entries = ledger.audit_log.newest(limit, since_ms=start_ms)
    shown = [entry.fields() | {"hash": entry.hash} for entry in entries]
    if as_json:
        print_json({"count": count, "entries": shown})
        return
    print_table([_row(entry) for entry in shown], COLUMNS, may_drop=("number",))
    if len(shown) == limit < count:
        say(f"the newest {limit} of {count} entries; for more: --limit, --since")


COLUMNS = ("number", "when", "by", "act", "subject", "reason", "before", "after")


def _row(entry: Mapping[str, Any]) -> dict[str, Any]:
    job = entry.get("job")
    return {
        "number": entry.get("seq"),
        "when": moment(entry["at_ms"]) if isinstance(entry.get("at_ms"), int) else "",
        "by": entry.get("by"),
        "act": entry.get("act", "damaged") + (f" ({job})" if job else ""),
        "subject": entry.get("subject") or entry.get("damaged"),
        "reason": entry.get("why"),
        "before": _listed(entry.get("before")),
        "after": _listed(entry.get("after")),
    }


def _listed(fields: object) -> str:
    if not isinstance(fields, dict):
        return ""
    return " ".join(f"{name}={value}" for name, value in fields.items())


def _verify(log: AuditLog, *, as_json: bool) -> None:
    found = log.verify()
    if as_json:
        print_json({"ok": not found.breaks_at, **found._asdict()})
    elif not found.breaks_at:
        say(f"{found.entries} entries, unbroken; the last one has the hash {found.head}")
    else:
        say(f"The chain breaks at entry {found.breaks_at}: {found.problem}.")
    if found.breaks_at:
        if as_json:
            raise typer.Exit(1)
        fail(f"{found.entries} entries before it are unbroken")
