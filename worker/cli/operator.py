"""Who acts, and why: the options of each command that changes something."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from worker.cli.common import fail, settings, user_name
from worker.ledger.audit_log import LONGEST_NAME, LONGEST_WHY, Operator

By = Annotated[
    str,
    typer.Option(
        "--by", help="Your name, for the audit log; REFUNDS_OPERATOR or the login name by default."
    ),
]
Why = Annotated[
    str, typer.Option("--reason", help="Why you do it, for the audit log and upstream.")
]
OptionalWhy = Annotated[str, typer.Option("--reason", help="Why you do it, for the audit log.")]


def operator(by: str, why: str, *, needs_reason: bool = False) -> Operator:
    """Return who acts; ask for a missing reason on a terminal, else fail."""
    name = by.strip() or settings().operator or user_name()
    reason = why.strip()
    if needs_reason and not reason:
        if not sys.stdin.isatty():
            fail("say why, with --reason: it is kept in the audit log", code=2)
        reason = str(typer.prompt("Reason", err=True)).strip()
    for option, text, longest in (("--by", name, LONGEST_NAME), ("--reason", reason, LONGEST_WHY)):
        if len(text) > longest:
            fail(f"{option} takes at most {longest} characters", code=2)
    return Operator(name, reason)
