"""What all commands share: options, connections, and one clear message for every failure."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from contextvars import ContextVar
from functools import wraps
from typing import Annotated, Any, NoReturn, TypeVar

import redis
import typer
from dramatiq.errors import ConnectionClosed

from config.loading import SettingsError, load_settings, unknown_variables
from config.settings import Settings
from worker.app import ledger_from
from worker.cli.output import print_json, say
from worker.demo.demo import DemoFailed
from worker.demo.embedded import NoServer
from worker.ledger.connection import explain
from worker.ledger.refunds import Ledger
from worker.operations.dead_letters import CannotReplay
from worker.queue.broker import Broker

WRONG_USAGE = 2

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]
Limit = Annotated[int, typer.Option(min=1, max=100_000, help="Maximum number of rows.")]

Command = TypeVar("Command", bound=Callable[..., None])

#: Closes the connections of the running command when it ends.
_opened: ContextVar[ExitStack] = ContextVar("opened")
#: Whether the running command was called with --json.
_as_json: ContextVar[bool] = ContextVar("as_json", default=False)


def fail(text: str, code: int = 1, **more: object) -> NoReturn:
    """Print an error and exit: code 1 if the answer is no, 2 for wrong usage.

    The text goes to standard error. With --json, standard output gets one JSON document as well:
    `{"ok": false, "error": {"message": TEXT}}` and the fields of *more*.
    """
    say(text)
    if _as_json.get():
        _print_error(text, more)
    raise typer.Exit(code)


def _print_error(text: str, more: Mapping[str, object]) -> None:
    # On one line, because `outcomes` prints one document per line and may fail after some of them.
    print_json({"ok": False, "error": {"message": text}, **more}, indent=None)


def run(app: typer.Typer) -> None:
    """Run the program.

    Wrong usage that typer finds before it calls a command is reported as JSON too.
    """
    try:
        app()
    except SystemExit as end:
        if end.code == WRONG_USAGE and "--json" in sys.argv and _opened.get(None) is None:
            _print_error("wrong usage; see standard error for details", {})
        raise


def explain_errors(command: Command) -> Command:
    """Turn the expected failures of a command into one clear message and an exit code."""

    @wraps(command)
    def inner(*arguments: Any, **options: Any) -> None:
        _as_json.set(bool(options.get("as_json")))
        try:
            with ExitStack() as opened:
                _opened.set(opened)
                command(*arguments, **options)
        except SettingsError as error:
            fail(str(error), WRONG_USAGE)
        except (redis.RedisError, ConnectionClosed) as error:
            fail(explain(error))
        except (NoServer, DemoFailed, CannotReplay) as error:
            fail(str(error))

    return inner  # type: ignore[return-value]  # functools.wraps keeps the signature


def settings() -> Settings:
    """Load the settings from the environment; warn about unknown variables with our prefix."""
    for name, nearest in unknown_variables(os.environ).items():
        hint = f"; did you mean {nearest}?" if nearest else ""
        say(f"{name} is not a known setting and is ignored{hint}")
    return load_settings(os.environ)


def connect() -> tuple[Broker, Ledger]:
    """Connect to the queues and the ledger that the environment names."""
    broker, ledger = ledger_from(settings())
    close_at_end(broker.client.close)
    return broker, ledger


def close_at_end(close: Callable[[], object]) -> None:
    """Call *close* when the running command ends."""
    _opened.get().callback(close)
