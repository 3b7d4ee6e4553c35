"""`refunds deploy`: files to run the worker with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from worker.cli.common import AsJson, explain_errors, fail
from worker.cli.output import print_json, print_line
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
    directory: Annotated[Path, typer.Argument(help="Where to write them; made if necessary.")],
    force: Annotated[bool, typer.Option("--force", help="Replace files of these names.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write the files to a directory, to be adapted there. Each says at its top how to use it."""
    try:
        written = [str(path) for path in export_files(directory, force=force)]
    except AlreadyThere as error:
        fail(f"{error}; --force replaces them")
    except OSError as error:
        fail(f"{error.filename} cannot be written: {error.strerror}")
    if as_json:
        print_json({"ok": True, "files": written})
    else:
        for path in written:
            print_line(path)
