"""`refunds console`: the web application for support and operations, and its users' tokens."""

from __future__ import annotations

import re
import threading
from typing import TYPE_CHECKING, Annotated

import typer

from config.access import NAME, ConsoleUser, Role
from config.settings import Settings
from worker.app import (
    acts_from,
    jobs_from,
    keyring_from,
    ledger_from,
    stores_from,
    wix_from,
)
from worker.cells.finding import Finder
from worker.cells.routing import directory_from
from worker.cli import status
from worker.cli.cells import all_settings
from worker.cli.common import WRONG_USAGE, AsJson, close_at_end, explain_errors, fail, settings
from worker.cli.serve import ONCE, BehindProxy, Host, Pem, Port, Service, join, show_token
from worker.ledger.search import Search
from worker.observability.events import log_event
from worker.observability.redaction import register_secrets
from worker.operations.acts.wix_desk import WixDesk
from worker.process.early_signals import end_on_sigterm
from worker.serving.binding import Binding
from worker.serving.tokens import hash_of, new_token
from worker.stores.examiner import Examiner

if TYPE_CHECKING:
    from starlette.applications import Starlette

    from worker.console.desk import Desk
    from worker.console.desks import Desks
    from worker.serving.server import Server

NEXT = "Give this token to the person. Add this to REFUNDS_CONSOLE_TOKENS, and restart the console:"
NO_USERS = (
    "REFUNDS_CONSOLE_TOKENS is not set, so nobody may use it; `refunds console token` makes a token"
)
NEEDS_PROXY = (
    "REFUNDS_CONSOLE_PROXY says that a proxy signs users in: add --behind-proxy, or unset it"
)

console = typer.Typer(
    invoke_without_command=True,
    epilog="Example: refunds console --host 0.0.0.0 --behind-proxy",
)


@console.callback()
@explain_errors
def run(
    context: typer.Context,
    host: Host = "127.0.0.1",
    port: Port = 8093,
    tls_cert: Pem = None,
    tls_key: Pem = None,
    behind_proxy: BehindProxy = False,
    as_json: AsJson = False,
) -> None:
    """Run the web console, for those without a terminal.

    It runs until Ctrl-C or SIGTERM, and listens on loopback. Any other address needs TLS, or
    --behind-proxy.
    """
    if context.invoked_subcommand:
        return
    end_on_sigterm()
    given = settings()
    if not given.console_tokens:
        fail(NO_USERS, code=WRONG_USAGE)
    if given.console_proxy and not behind_proxy:
        fail(NEEDS_PROXY, code=WRONG_USAGE)
    binding = Binding(
        host=host, port=port, certificate=tls_cert, key=tls_key, behind_proxy=behind_proxy
    )
    SERVICE.run(given, binding, as_json=as_json)


def _application(given: Settings, server: Server) -> tuple[Starlette, str]:
    """Return the application, and the installation that it belongs to."""
    from worker.console.application import application  # noqa: PLC0415 - the extra may be missing
    from worker.console.door import Door  # noqa: PLC0415 - see above

    desks = _desks(given)
    if proxy := given.console_proxy:
        register_secrets([proxy.secret.get_secret_value()])
    binding = server.binding
    door = Door(
        given.console_tokens,
        proxy,
        is_secure=binding.has_tls or binding.behind_proxy,
        behind_proxy=binding.behind_proxy,
    )
    app = application(desks, door, has_tls=binding.has_tls, is_stopping=lambda: server.is_stopping)
    return app, desks.first.ledger.installation or ""


def _desks(given: Settings) -> Desks:
    """Return the desk of each cell that is shown; all must answer now."""
    from worker.console.desks import Desks  # noqa: PLC0415 - see _application

    of_each = all_settings(given)
    if len(of_each) == 1:
        return Desks({cell: _desk(one) for cell, one in of_each.items()})
    desks = {cell: _desk(one, cell) for cell, one in of_each.items()}
    clients, directory = directory_from(
        given, {cell: desk.broker.client for cell, desk in desks.items()}, tries=ONCE
    )
    close_at_end(clients.close)
    return Desks(desks, lambda: Finder(clients, directory))


def _desk(given: Settings, cell: str = "") -> Desk:
    """Return what the pages about one cell work with."""
    from worker.console.desk import Desk  # noqa: PLC0415 - see _application

    broker, ledger = ledger_from(given, tries=ONCE)
    close_at_end(broker.client.close)
    ledger.installation = join(given, broker.client)
    wix, pause = wix_from(given), threading.Event()
    close_at_end(wix.close)
    return Desk(
        settings=given,
        broker=broker,
        ledger=ledger,
        acts=acts_from(given, broker, ledger),
        jobs=jobs_from(given, broker, ledger),
        search=Search(broker.client, namespace=given.namespace),
        wix=WixDesk(
            keyring=keyring_from(given),
            ledger=ledger,
            stores=stores_from(given, broker),
            wix=wix,
            settings=given,
        ),
        examiner=Examiner(wix=wix, progress=lambda _: None, pause=pause.wait),
        read_status=status.reader_of(given, tries=ONCE),
        cell=cell,
    )


def _started(given: Settings, url: str, installation: str) -> None:
    users = sorted(given.console_tokens)
    log_event("console.started", url=url, users=users, installation=installation)


SERVICE = Service(
    extra="console",
    packages=("starlette", "uvicorn", "jinja2"),
    build=_application,
    started=_started,
    stopped=lambda: log_event("console.stopped"),
    says="The console listens on {url}.",
)


@console.command("token", epilog="Example: refunds console token ann --role act")
@explain_errors
def token(
    name: Annotated[str, typer.Argument(help="Name of the person, for the audit log.")],
    role: Annotated[
        Role, typer.Option(help="view; act: also act; approve: also act and approve.")
    ] = "view",
    as_json: AsJson = False,
) -> None:
    """Make a token, and what REFUNDS_CONSOLE_TOKENS holds of it.

    The token is shown once; the settings hold its hash only.
    """
    new = new_token()
    entry = ConsoleUser(role=role, sha256=(hash_of(new),)).model_dump(exclude_defaults=True)
    if not re.fullmatch(NAME, name):
        fail("a name has letters, digits and . _ - only, at most 100", code=WRONG_USAGE)
    show_token(new, {name: entry}, NEXT, as_json=as_json)
