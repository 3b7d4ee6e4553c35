"""`refunds simulator`: run a simulated Wix, and change what it does while it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from worker.cli import drills
from worker.cli.common import AsJson, explain_errors, fail
from worker.simulator.command import print_flags, run_simulator
from worker.simulator.script.reading import InvalidInput

simulator = typer.Typer(
    invoke_without_command=True,
    epilog="Example: refunds simulator --port 8091 --flag cancel_twice=428",
)
for group in (drills.key, drills.fault, drills.merchant):
    simulator.add_typer(group)


@simulator.callback()
@explain_errors
def run(
    context: typer.Context,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port to listen on; 0 picks a free one.")
    ] = 8091,
    orders: Annotated[
        int | None, typer.Option(min=0, help="Number of sample orders; 4 by default.")
    ] = None,
    scenario: Annotated[
        Path | None,
        typer.Option(help="TOML file with stores, orders and faults, instead of sample orders."),
    ] = None,
    flag: Annotated[
        list[str] | None,
        typer.Option(help="How Wix behaves where it is not documented, NAME=VALUE; repeatable."),
    ] = None,
    flags: Annotated[bool, typer.Option("--flags", help="List the flags and exit.")] = False,
    as_json: AsJson = False,
) -> None:
    """Run a simulated Wix until Ctrl-C. With a command, change one that runs.

    It listens on loopback; it prints the settings for the worker, and the orders.
    """
    if context.invoked_subcommand:
        return
    if flags:
        print_flags(as_json=as_json)
        return
    try:
        run_simulator(
            port=port, orders=orders, scenario=scenario, flags=flag or [], as_json=as_json
        )
    except InvalidInput as error:
        fail(*str(error).split("\n"), code=2)
