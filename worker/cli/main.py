"""`refunds`: the entry point, and the commands that are not in a module of their own."""

from __future__ import annotations

import signal

from worker.process.early_signals import hold_signals, is_program

# Before all other imports: they take a second. All other commands end at once, as programs do.
if is_program("refunds", "api", "console", "simulator"):
    hold_signals((signal.SIGTERM,))

import io
import os
import sys
from importlib.metadata import version
from typing import Annotated

import typer

from statemachine.diagram import mermaid
from statemachine.flows import Flow
from worker.cli import acts
from worker.cli.api import api
from worker.cli.approve import EXAMPLE as APPROVE_EXAMPLE
from worker.cli.approve import approve
from worker.cli.archive import archive
from worker.cli.audit_log import EXAMPLE as AUDIT_LOG_EXAMPLE
from worker.cli.audit_log import audit_log
from worker.cli.cells import wanted_cell
from worker.cli.checks import EXAMPLES, audit, doctor
from worker.cli.common import AsJson, explain_errors, run
from worker.cli.console import console
from worker.cli.dead import dead
from worker.cli.deploy import deploy
from worker.cli.jobs import jobs
from worker.cli.list_refunds import EXAMPLE as LIST_EXAMPLE
from worker.cli.list_refunds import list_refunds
from worker.cli.logs import EXAMPLE as LOGS_EXAMPLE
from worker.cli.logs import logs
from worker.cli.observability import observability
from worker.cli.outcomes import EXAMPLE as OUTCOMES_EXAMPLE
from worker.cli.outcomes import outcomes
from worker.cli.output import (
    print_json,
    print_line,
    print_table,
    say,
)
from worker.cli.request import EXAMPLE, request
from worker.cli.schema import EXAMPLE as SCHEMA_EXAMPLE
from worker.cli.schema import schema
from worker.cli.show import EXAMPLE as SHOW_EXAMPLE
from worker.cli.show import show
from worker.cli.simulator import simulator
from worker.cli.status import EXAMPLE as STATUS_EXAMPLE
from worker.cli.status import status
from worker.cli.stores import stores
from worker.cli.watch import EXAMPLE as WATCH_EXAMPLE
from worker.cli.watch import watch
from worker.cli.webhooks import webhooks
from worker.demo.demo import run_demo
from worker.observability.logs import configure_logs

app = typer.Typer(
    name="refunds",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Example: refunds demo. The --help of each command has its own example.",
)
app.add_typer(dead, name="dead")
app.add_typer(stores, name="stores")
app.add_typer(jobs, name="jobs")
app.add_typer(observability, name="observability")
app.add_typer(archive, name="archive")
app.add_typer(simulator, name="simulator")
app.add_typer(api, name="api")
app.add_typer(console, name="console")
app.add_typer(webhooks, name="webhooks")
app.add_typer(deploy, name="deploy")
app.command(epilog=EXAMPLE)(request)
app.command(epilog=SCHEMA_EXAMPLE)(schema)
app.command(epilog=SHOW_EXAMPLE)(show)
app.command("list", epilog=LIST_EXAMPLE)(list_refunds)
app.command("audit-log", epilog=AUDIT_LOG_EXAMPLE)(audit_log)
for act in (acts.retry, acts.cancel, acts.hold, acts.release, acts.edit, acts.pause, acts.resume):
    app.command(epilog=acts.EXAMPLES[act.__name__])(act)
app.command(epilog=APPROVE_EXAMPLE)(approve)
app.command(epilog=LOGS_EXAMPLE)(logs)
app.command(epilog=STATUS_EXAMPLE)(status)
app.command(epilog=WATCH_EXAMPLE)(watch)
app.command(epilog=OUTCOMES_EXAMPLE)(outcomes)
for command in (audit, doctor):
    app.command(epilog=EXAMPLES[command.__name__])(command)


def _print_version(wanted: bool) -> None:
    if wanted:
        print_line(f"refunds {version('wix-refund-worker')}")
        raise typer.Exit


@app.callback()
def refunds(
    _: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
    cell: Annotated[
        str,
        typer.Option(help="The only cell to look at, where there are several: front, 0, 1, ..."),
    ] = "",
) -> None:
    """Refund orders of Wix stores: each one exactly once, or a person is told why not."""
    wanted_cell.set(cell)


@app.command(epilog="Example: refunds demo --json | jq .ok")
@explain_errors
def demo(as_json: AsJson = False) -> None:
    """Watch seven refunds, without a Wix account.

    They run through the real worker, on an embedded server and against the simulator of Wix.
    """
    wanted = "json" if as_json else os.environ.get("REFUNDS_LOG_FORMAT")
    configure_logs("json" if wanted == "json" else "console", "info")
    report = run_demo()
    if as_json:
        print_json(report)
    else:
        columns = ("refund_id", "order_id", "flow", "state", "attempts", "wix_calls", "duration_ms")
        print_table(report["refunds"], columns)
        for refund in report["refunds"]:
            if refund["reason"]:
                say(f"{refund['refund_id']}: {refund['sentence']} ({refund['wix_code']})")
        if report["ok"]:
            say("All refunds match Wix's own records.")
    if not report["ok"]:
        say(*report["wrong"])
        raise typer.Exit(1)


@app.command(epilog="Example: refunds diagram > states.mmd")
@explain_errors
def diagram(as_json: AsJson = False) -> None:
    """Print the state diagrams in Mermaid."""
    drawn = {flow.value: mermaid(flow) for flow in Flow}
    if as_json:
        print_json({"mermaid": drawn})
    else:
        for line in "\n".join(f"%% {flow}\n{text}" for flow, text in drawn.items()).splitlines():
            print_line(line)


def main() -> None:
    """Run the `refunds` program."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    # What a command does is logged in the same shape as what a worker does. On a terminal, the
    # sentences of the command say it.
    configure_logs(None, "warning" if sys.stderr.isatty() else "info")
    run(app)
