"""What all commands share: options, connection, and clear words for what goes wrong outside."""

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
from worker.ledger.connection import in_words
from worker.ledger.refunds import Ledger
from worker.operations.dead_letters import CannotReplay
from worker.queue.broker import Broker

AsJson = Annotated[bool, typer.Option("--json", help="Machine-readable output on stdout.")]
WRONG_USAGE = 2

Limit = Annotated[int, typer.Option(min=1, max=100_000, help="At most so many.")]

Command = TypeVar("Command", bound=Callable[..., None])


#: What the running command opened.
_opened: ContextVar[ExitStack] = ContextVar("opened")
#: Whether a program reads what we print.
_as_json: ContextVar[bool] = ContextVar("as_json", default=False)


def fail(text: str, code: int = 1, **more: object) -> NoReturn:
    """End with a sentence and an exit code: 1 the answer is no, 2 wrong usage.

    With --json the sentence also stands on standard output, with *more*, in one shape for all.
    """
    say(text)
    if _as_json.get():
        _print_error(text, more)
    raise typer.Exit(code)


def _print_error(text: str, more: Mapping[str, object]) -> None:
    # One line: `outcomes` prints a document a line, and may fail after some.
    print_json({"ok": False, "error": {"message": text}, **more}, indent=None)


def run(app: typer.Typer) -> None:
    """Run the program; wrong usage that no command of ours came to see fails in the same shape."""
    try:
        app()
    except SystemExit as end:
        if end.code == WRONG_USAGE and "--json" in sys.argv and _opened.get(None) is None:
            _print_error("wrong usage; standard error says what is wrong", {})
        raise


def told(command: Command) -> Command:
    """Turn what may go wrong outside of us into one clear sentence."""

    @wraps(command)
    def inner(*arguments: Any, **options: Any) -> None:
        _as_json.set(bool(options.get("as_json")))
        try:
            with ExitStack() as opened:
                _opened.set(opened)
                command(*arguments, **options)
        except SettingsError as error:
            fail(str(error), 2)
        except (redis.RedisError, ConnectionClosed) as error:
            fail(in_words(error))
        except (NoServer, DemoFailed, CannotReplay) as error:
            fail(str(error))

    return inner  # type: ignore[return-value]  # same signature, by wraps


def settings() -> Settings:
    """What the environment says; a variable of our prefix that nobody reads is told."""
    for name, nearest in unknown_variables(os.environ).items():
        say(f"{name} is read by nobody{f'; is {nearest} meant?' if nearest else ''}")
    return load_settings(os.environ)


def connect() -> tuple[Broker, Ledger]:
    """Queues and ledger, as the environment says."""
    broker, ledger = ledger_from(settings())
    close_at_end(broker.client.close)
    return broker, ledger


def close_at_end(close: Callable[[], object]) -> None:
    """Call this when the running command ends."""
    _opened.get().callback(close)
