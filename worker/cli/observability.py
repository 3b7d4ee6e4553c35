"""`refunds observability export`: the dashboard and the alert rules as files."""

from __future__ import annotations

from pathlib import Path

import typer

import worker.observability
from worker.cli.common import AsJson, explain_errors
from worker.cli.exports import Directory, write_and_print
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
    directory: Directory,
    as_json: AsJson = False,
) -> None:
    """Write alert rules for Prometheus and a dashboard for Grafana.

    Files of the same names are replaced.
    """
    folder = Path(worker.observability.__file__).parent
    write_and_print(
        lambda: export_files(directory, force=True, folder=folder, names=FILES), as_json=as_json
    )
