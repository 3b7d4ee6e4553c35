"""`refunds observability export`: the dashboard and the alert rules as files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import worker.observability
from worker.cli.common import AsJson, explain_errors, fail
from worker.cli.output import print_json, print_line
from worker.deploy.files import export as export_files

observability = typer.Typer(
    help="Files for Prometheus and Grafana.",
    no_args_is_help=True,
    epilog="Example: refunds observability export /etc/prometheus/refunds",
)
#: The files in worker/observability.
FILES = ("alerts.yml", "dashboard.json")


@observability.callback()
def _group() -> None:
    """Files for Prometheus and Grafana."""


@observability.command(
    "export", epilog="Example: refunds observability export /etc/prometheus/refunds"
)
@explain_errors
def export(
    directory: Annotated[Path, typer.Argument(help="Where to write them; made if necessary.")],
    as_json: AsJson = False,
) -> None:
    """Write alert rules for Prometheus and a dashboard for Grafana.

    Files of the same names are replaced.
    """
    folder = Path(worker.observability.__file__).parent
    try:
        exported = export_files(directory, force=True, folder=folder, names=FILES)
        written = [str(path) for path in exported]
    except OSError as error:
        fail(f"{error.filename} cannot be written: {error.strerror}")
    if as_json:
        print_json({"ok": True, "files": written})
    else:
        for path in written:
            print_line(path)
