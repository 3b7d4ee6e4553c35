"""`refunds api`: the HTTP API, and the tokens of those who may use it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from config.access import ALL_STORES, ApiProducer
from config.settings import Settings
from worker.app import ledger_from, producers_from
from worker.cells.finding import Finder
from worker.cells.routing import directory_from
from worker.cells.settings import settings_of
from worker.cli.common import WRONG_USAGE, AsJson, close_at_end, explain_errors, fail, settings
from worker.cli.serve import ONCE, BehindProxy, Host, Pem, Port, Service, join, show_token
from worker.ledger.search import Search
from worker.observability.events import log_event
from worker.process.early_signals import end_on_sigterm
from worker.serving.binding import Binding
from worker.serving.tokens import Tokens, hash_of, new_token

if TYPE_CHECKING:
    from starlette.applications import Starlette

    from worker.serving.server import Server

NEXT = "Give this token to the producer. Add this to REFUNDS_API_TOKENS, and restart the API:"
NO_TOKENS = "REFUNDS_API_TOKENS is not set, so nobody may use it; `refunds api token` makes a token"

api = typer.Typer(
    invoke_without_command=True,
    epilog="Example: refunds api --host 0.0.0.0 --tls-cert cert.pem --tls-key key.pem",
)


@api.callback()
@explain_errors
def run(
    context: typer.Context,
    host: Host = "127.0.0.1",
    port: Port = 8092,
    tls_cert: Pem = None,
    tls_key: Pem = None,
    behind_proxy: BehindProxy = False,
    as_json: AsJson = False,
) -> None:
    """Run the HTTP API for upstream services.

    It runs until Ctrl-C or SIGTERM, and listens on loopback. Any other address needs TLS, or
    --behind-proxy.
    """
    if context.invoked_subcommand:
        return
    end_on_sigterm()
    given = settings()
    if not given.api_tokens:
        fail(NO_TOKENS, code=WRONG_USAGE)
    binding = Binding(
        host=host, port=port, certificate=tls_cert, key=tls_key, behind_proxy=behind_proxy
    )
    SERVICE.run(given, binding, as_json=as_json)


def _application(given: Settings, server: Server) -> tuple[Starlette, str]:
    """Return the application, and the installation that it belongs to."""
    from worker.api.application import Api, application  # noqa: PLC0415 - the extra may be missing
    from worker.api.ledgers import Ledgers, Place  # noqa: PLC0415 - see above
    from worker.api.outcomes import Stream, Tail  # noqa: PLC0415 - see above
    from worker.api.refunds import Refunds  # noqa: PLC0415 - see above

    def connect(cell: str) -> Place:
        of_cell = settings_of(given, cell, given.cells)
        broker, ledger = ledger_from(of_cell, tries=ONCE)
        close_at_end(broker.client.close)
        ledger.installation = join(of_cell, broker.client)
        search = Search(broker.client, namespace=of_cell.namespace)
        return Place(ledger, search, broker.client)

    ledgers = Ledgers(connect, _finder(given))
    tail = Tail([Stream(client, ledger.ns) for ledger, _, client in ledgers.all()])
    refunds = Refunds(ledgers, producers_from(given), given.webhooks)
    api = Api(refunds, tail, lambda: server.is_stopping)
    return application(api, Tokens(given.api_tokens)), ledgers.front.ledger.installation or ""


def _finder(given: Settings) -> Callable[[], Finder] | None:
    """Return what looks for the cells of stores and refunds; None where there is one ledger."""
    if given.cells == 1:
        return None
    clients, directory = directory_from(given, {}, tries=ONCE)
    close_at_end(clients.close)
    return lambda: Finder(clients, directory)


def _started(given: Settings, url: str, installation: str) -> None:
    producers = sorted(given.api_tokens)
    log_event("api.started", url=url, producers=producers, installation=installation)


SERVICE = Service(
    extra="http",
    packages=("starlette", "uvicorn"),
    build=_application,
    started=_started,
    stopped=lambda: log_event("api.stopped"),
    says="The HTTP API listens on {url}; its description is at {url}/openapi.json.",
)


@api.command("token", epilog="Example: refunds api token returns --store SITE_ID")
@explain_errors
def token(
    name: Annotated[str, typer.Argument(help="Name of the producer, for the log.")],
    store: Annotated[
        list[str] | None, typer.Option(help="Site ID that it may use; repeatable.")
    ] = None,
    all_stores: Annotated[
        bool, typer.Option("--all-stores", help="It may use all stores, also later ones.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Make a token, and what REFUNDS_API_TOKENS holds of it.

    The token is shown once; the settings hold its hash only.
    """
    if bool(store) == all_stores:
        fail("give --store, or --all-stores", code=WRONG_USAGE)
    new = new_token()
    entry = {"sha256": [hash_of(new)], "stores": store or [ALL_STORES]}
    try:
        ApiProducer.model_validate(entry)
    except ValueError:
        fail("--store takes a site ID, like 4b296c48-0000-4000-8000-000000000001", code=WRONG_USAGE)
    show_token(new, {name: entry}, NEXT, as_json=as_json)
