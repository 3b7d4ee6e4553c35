"""`refunds api`: the HTTP API, and the tokens of those who may use it."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from config.access import ALL_STORES, ApiProducer
from config.settings import Settings
from worker.app import ledger_from, producers_from
from worker.cli.common import WRONG_USAGE, AsJson, close_at_end, explain_errors, fail, settings
from worker.cli.output import print_json, print_line, say
from worker.cli.serve import BehindProxy, Host, Pem, Port, join
from worker.ledger.search import Search
from worker.observability.events import log_event
from worker.observability.logs import configure_logs
from worker.serving.binding import Binding, Unsafe
from worker.serving.tokens import Tokens, hash_of, new_token

if TYPE_CHECKING:
    from starlette.applications import Starlette

    from worker.serving.server import Server

NO_TOKENS = "REFUNDS_API_TOKENS is not set, so nobody may use it; `refunds api token` makes a token"
NOT_INSTALLED = (
    "this command needs the extra `http`: make wheel; pipx install 'dist/WHEEL[http]', or"
    " pipx inject wix-refund-worker starlette uvicorn"
)

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
    """Run the HTTP API for upstream services, until Ctrl-C or SIGTERM.

    It listens on loopback. Any other address needs TLS, or --behind-proxy.
    """
    if context.invoked_subcommand:
        return
    given = settings()
    if not given.api_tokens:
        fail(NO_TOKENS, code=WRONG_USAGE)
    binding = Binding(
        host=host, port=port, certificate=tls_cert, key=tls_key, behind_proxy=behind_proxy
    )
    try:
        _serve(given, binding, as_json=as_json)
    except Unsafe as error:
        fail(str(error), code=WRONG_USAGE)


def _serve(given: Settings, binding: Binding, *, as_json: bool) -> None:
    binding.check()
    try:
        from worker.serving.server import Server  # noqa: PLC0415 - the extra may be missing
    except ImportError:
        fail(NOT_INSTALLED, code=WRONG_USAGE)
    configure_logs(given.log_format, given.log_level)
    server = Server(binding)
    app, installation = _application(given, server)

    def ready(url: str) -> None:
        producers = sorted(given.api_tokens)
        log_event("api.started", url=url, producers=producers, installation=installation)
        if as_json:
            print_json({"url": url}, indent=None)
        else:
            print_line(f"The HTTP API listens on {url}; its description is at {url}/openapi.json.")
        sys.stdout.flush()  # it may be a pipe, and nothing follows for long

    server.run(app, ready)
    log_event("api.stopped")


def _application(given: Settings, server: Server) -> tuple[Starlette, str]:
    """Return the application, and the installation that it belongs to."""
    from worker.api.application import Api, application  # noqa: PLC0415 - see _serve
    from worker.api.outcomes import Tail  # noqa: PLC0415 - see _serve
    from worker.api.refunds import Refunds  # noqa: PLC0415 - see _serve

    broker, ledger = ledger_from(given)
    close_at_end(broker.client.close)
    ledger.installation = join(given, broker.client)
    search = Search(broker.client, namespace=given.namespace)
    tail = Tail(broker.client, ledger.ns)
    refunds = Refunds(ledger, search, producers_from(given), given.webhooks)
    api = Api(refunds, tail, lambda: server.is_stopping)
    return application(api, Tokens(given.api_tokens)), ledger.installation


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
    if as_json:
        # Every other way to print would mask it.
        sys.stdout.write(json.dumps({"token": new, "settings": {name: entry}}) + "\n")
        return
    sys.stdout.write(f"{new}\n")
    say("Give this token to the producer. Add this to REFUNDS_API_TOKENS, and restart the API:")
    say(json.dumps({name: entry}))
