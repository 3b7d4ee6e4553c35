"""What all commands share: options, connection, and clear words for what goes wrong outside."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack
from contextvars import ContextVar
from functools import wraps
from typing import Annotated, Any, NoReturn, TypeVar

import redis
import typer
from dramatiq.errors import ConnectionClosed

from config.loading import SettingsError, load_settings
from worker.app import ledger_from
from worker.broker import Broker
from worker.dead_letters import CannotReplay
from worker.demo import DemoFailed
from worker.embedded import NoServer
from worker.ledger import Ledger
from worker.printing import say
from worker.reaching import in_words

AsJson = Annotated[bool, typer.Option("--json", help="Machine-readable output on stdout.")]
Limit = Annotated[int, typer.Option(min=1, max=100_000, help="At most so many.")]

Command = TypeVar("Command", bound=Callable[..., None])


#: What the running command opened.
_opened: ContextVar[ExitStack] = ContextVar("opened")


def fail(text: str, code: int = 1) -> NoReturn:
    """End with a sentence and an exit code: 1 the answer is no, 2 wrong usage."""
    say(text)
    raise typer.Exit(code)


def told(command: Command) -> Command:
    """Turn what may go wrong outside of us into one clear sentence."""

    @wraps(command)
    def inner(*arguments: Any, **options: Any) -> None:
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


def connect() -> tuple[Broker, Ledger]:
    """Queues and ledger, as the environment says."""
    broker, ledger = ledger_from(load_settings(os.environ))
    close_at_end(broker.client.close)
    return broker, ledger


def close_at_end(close: Callable[[], object]) -> None:
    """Call this when the running command ends."""
    _opened.get().callback(close)
