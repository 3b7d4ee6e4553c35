"""`refunds observability export`: the dashboard and the alert rules as files."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer

from worker.cli.common import AsJson, explain_errors, fail
from worker.cli.output import print_json, say

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
    directory: Annotated[Path, typer.Argument(help="Where to write them; is made if necessary.")],
    as_json: AsJson = False,
) -> None:
    """Write the alert rules for Prometheus and the dashboard for Grafana.

    Files of the same names are replaced.
    """
    written = []
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for name in FILES:
            text = files("worker.observability").joinpath(name).read_text(encoding="utf-8")
            (directory / name).write_text(text, encoding="utf-8")
            written.append(str(directory / name))
    except OSError as error:
        fail(f"{directory} cannot be written: {error.strerror}")
    if as_json:
        print_json({"ok": True, "files": written})
    for path in written:
        say(f"written: {path}")
