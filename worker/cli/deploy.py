"""`refunds deploy`: files to run the worker with."""

from __future__ import annotations

from typing import Annotated

import typer

from worker.cli.common import AsJson, explain_errors, fail
from worker.cli.exports import Directory, write_and_print
from worker.deploy.files import AlreadyThere
from worker.deploy.files import export as export_files

deploy = typer.Typer(
    no_args_is_help=True,
    help="Deployment files: container, systemd, compose, Kubernetes.",
    epilog="Example: refunds deploy export deploy",
)


@deploy.callback()
def _group() -> None:
    """Typer would take the only command for the group without it."""


@deploy.command("export", epilog="Example: refunds deploy export deploy")
@explain_errors
def export(
    directory: Directory,
    force: Annotated[bool, typer.Option("--force", help="Replace files of these names.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write the files to a directory, to be adapted there. Each says at its top how to use it."""
    try:
        write_and_print(lambda: export_files(directory, force=force), as_json=as_json)
    except AlreadyThere as error:
        fail(f"{error}; --force replaces them")
