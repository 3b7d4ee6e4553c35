"""What the commands that run an HTTP server share: where it listens, and its installation."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import redis
import typer

from config.settings import Settings
from worker.app import membership_from
from worker.cli.common import fail
from worker.observability.events import log_event
from worker.operations.doctor import examine

Host = Annotated[str, typer.Option(help="Address to listen on.")]
Port = Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 picks a free one.")]
Pem = Annotated[Path | None, typer.Option(exists=True, dir_okay=False, help="PEM file for TLS.")]
BehindProxy = Annotated[
    bool, typer.Option("--behind-proxy", help="A proxy in front of it ends TLS.")
]


def join(given: Settings, client: redis.Redis) -> str:
    """Return the installation, as a worker that starts; end if it must not start."""
    findings = examine(client, given.redis_wait_replicas)
    if all(finding.level != "refused" for finding in findings):
        joined = membership_from(given, client).join(is_worker=False)
        findings, installation = [*findings, *joined.findings], joined.installation
    for finding in findings:
        if finding.level == "refused":
            log_event("doctor.refused", check=finding.check, text=finding.text)
        elif finding.level == "warning":
            log_event("doctor.warning", check=finding.check, text=finding.text)
    if refused := [finding.text for finding in findings if finding.level == "refused"]:
        fail(*refused)
    return installation
