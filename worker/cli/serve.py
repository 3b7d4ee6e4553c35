"""What the commands that run an HTTP server share: how it runs, its installation, its tokens."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import redis
import typer

from config.settings import Settings
from worker.app import membership_from
from worker.cli.common import WRONG_USAGE, fail
from worker.cli.output import print_json, print_line, say
from worker.observability.bugs import report_bugs
from worker.observability.events import log_event
from worker.observability.logs import configure_logs
from worker.operations.doctor import examine
from worker.serving.binding import Binding, Unsafe

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from worker.serving.server import Server

#: Whoever sends a request waits for the answer, so a command that Redis does not answer is not
#: repeated: with all its retries a page took more than a minute.
ONCE = 1

Host = Annotated[str, typer.Option(help="Address to listen on.")]
Port = Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 picks a free one.")]
Pem = Annotated[Path | None, typer.Option(exists=True, dir_okay=False, help="PEM file for TLS.")]
BehindProxy = Annotated[
    bool, typer.Option("--behind-proxy", help="A proxy in front of it ends TLS.")
]


@dataclass(frozen=True)
class Service:
    """A command that runs an HTTP server."""

    extra: str
    """The extra that it needs, and the packages of it."""
    packages: tuple[str, ...]
    build: Callable[[Settings, Server], tuple[ASGIApp, str]]
    """Makes the application, from modules that need the extra; returns it, and the installation."""
    started: Callable[[Settings, str, str], None]
    """Logs that it listens on an address, and the installation."""
    stopped: Callable[[], None]
    says: str
    """What a person is told when it listens on `{url}`."""

    def run(self, given: Settings, binding: Binding, *, as_json: bool) -> None:
        """Serve until Ctrl-C or SIGTERM."""
        try:
            binding.check()
            server, app, installation = self._built(given, binding)
            server.run(app, self._ready(given, installation, as_json=as_json))
        except Unsafe as error:
            fail(str(error), code=WRONG_USAGE)
        self.stopped()

    def _built(self, given: Settings, binding: Binding) -> tuple[Server, ASGIApp, str]:
        try:
            from worker.serving.server import Server  # noqa: PLC0415 - the extra may be missing

            server = Server(binding)
            configure_logs(given.log_format, given.log_level)
            report_bugs(os.environ)
            return server, *self.build(given, server)
        except ModuleNotFoundError as error:
            if str(error.name).partition(".")[0] not in self.packages:
                raise
            fail(self._how_to_install(), code=WRONG_USAGE)

    def _how_to_install(self) -> str:
        return (
            f"this command needs the extra `{self.extra}`: make wheel; pipx install"
            f" 'dist/WHEEL[{self.extra}]', or pipx inject wix-refund-worker"
            f" {' '.join(self.packages)}"
        )

    def _ready(
        self, given: Settings, installation: str, *, as_json: bool
    ) -> Callable[[str], object]:
        def ready(url: str) -> None:
            self.started(given, url, installation)
            if as_json:
                print_json({"url": url}, indent=None)
            else:
                print_line(self.says.format(url=url))
            sys.stdout.flush()  # it may be a pipe, and nothing follows for long

        return ready


def show_token(token: str, entry: Mapping[str, Any], says: str, *, as_json: bool) -> None:
    """Print a new token, and what the settings hold of it."""
    # Every other way to print would mask it.
    if as_json:
        sys.stdout.write(json.dumps({"token": token, "settings": entry}) + "\n")
        return
    sys.stdout.write(f"{token}\n")
    say(says)
    say(json.dumps(entry))


def join(given: Settings, client: redis.Redis) -> str:
    """Return the installation, as a worker that starts; end if it must not start."""
    findings = examine(client, given.redis_wait_replicas, namespace=given.namespace)
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
