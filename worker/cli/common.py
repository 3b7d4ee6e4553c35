"""What all commands share: options, connections, and one clear message for every failure."""

from __future__ import annotations

import getpass
import io
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from contextvars import ContextVar
from functools import wraps
from typing import Annotated, Any, NoReturn, TypeVar

import redis
import typer
from dramatiq.errors import ConnectionClosed

from config.loading import SettingsError, is_utf_8, load_settings, unknown_variables
from config.settings import Settings
from worker.app import acts_from, ledger_from
from worker.cells.settings import settings_of
from worker.cli.output import print_json, say
from worker.cli.similar import similar_options
from worker.demo.demo import DemoFailed
from worker.demo.embedded import NoServer
from worker.ledger.acts import Acts
from worker.ledger.refunds import Ledger
from worker.observability.redaction import redact_text
from worker.operations.acts.refusals import CannotAct
from worker.queue.broker import Broker
from worker.queue.server_errors import explain

WRONG_USAGE = 2

#: The base of typer's errors about arguments, for which it has no public name.
UsageError: Any = typer.BadParameter.__mro__[2]

#: The characters of refund ids, message ids and site ids.
LONGEST_ID = 100
_ID = re.compile(rf"[A-Za-z0-9._:~/-]{{1,{LONGEST_ID}}}")
#: Instead of what a person gave.
NOT_SHOWN = "(not shown: this is not an id)"

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]
Limit = Annotated[int, typer.Option(min=1, max=100_000, help="Maximum number of rows.")]

Command = TypeVar("Command", bound=Callable[..., None])

#: Closes the connections of the running command when it ends.
_opened: ContextVar[ExitStack] = ContextVar("opened")
#: The cell in which the running command works, and how many there are (worker.cli.cells).
current_cell: ContextVar[tuple[str, int] | None] = ContextVar("current_cell", default=None)
#: Whether the running command was called with --json.
_as_json: ContextVar[bool] = ContextVar("as_json", default=False)


def fail(
    *lines: str, code: int = 1, end: type[typer.Exit] = typer.Exit, **more: object
) -> NoReturn:
    """Print an error and exit: code 1 if the answer is no, 2 for wrong usage.

    The lines go to standard error. With --json, standard output gets one JSON document as well:
    `{"ok": false, "error": {"message": LINES}}` and the fields of *more*.
    """
    say(*lines)
    if _as_json.get():
        _print_error("\n".join(lines), more)
    raise end(code)


def named(given: str) -> str:
    """Return an id that a person gave, for a message.

    What cannot be an id may be an API key that was pasted in its place; it is not repeated.
    """
    return given if _ID.fullmatch(given) and redact_text(given) == given else NOT_SHOWN


def _print_error(text: str, more: Mapping[str, object]) -> None:
    # On one line, because `outcomes` prints one document per line and may fail after some of them.
    print_json({"ok": False, "error": {"message": text}, **more}, indent=None)


def run(app: typer.Typer) -> None:
    """Run the program and exit.

    Wrong usage that is found before a command is called is reported as JSON too.
    """
    if problem := _not_utf_8(sys.argv[1:]):
        say(problem)
        if "--json" in sys.argv:
            _print_error(problem, {})
        sys.exit(WRONG_USAGE)
    try:
        code = app(standalone_mode=False)
    except UsageError as error:
        code = error.exit_code
        say(*_usage_error(error))
        if "--json" in sys.argv:
            _print_error("wrong usage; see standard error for details", {})
    except typer.Abort:
        say("Aborted!")
        code = 1
    sys.exit(code)


def _not_utf_8(arguments: Sequence[str]) -> str:
    """Return which argument is not valid UTF-8, as Redis and JSON need it; "" if all are."""
    for place, argument in enumerate(arguments, 1):
        if is_utf_8(argument):
            continue
        option, equals, _ = argument.partition("=")
        before = arguments[place - 2] if place > 1 else ""
        if equals and named(option) == option:
            where = f", {option},"
        elif before and named(before) == before:
            where = f", after {before},"
        else:
            where = ""
        return f"argument {place}{where} is not valid UTF-8"
    return ""


def _usage_error(error: Any) -> list[str]:
    """Return the lines of typer's message, which repeats arguments: one may be a pasted key."""
    if hasattr(error, "possibilities"):
        known = [name for option in error.ctx.command.params for name in option.opts]
        error.possibilities = similar_options(error.option_name, known)
    text = io.StringIO()
    error.show(text)
    # typer reads values with pydantic, and leaves this beginning of its messages.
    shown = text.getvalue().rstrip("\n").replace(": Value error, ", ": ")
    for argument in sys.argv[1:]:
        if len(argument) > LONGEST_ID:
            shown = shown.replace(argument, NOT_SHOWN)
    return shown.split("\n")


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
            fail(*str(error).split("\n"), code=WRONG_USAGE)
        except (redis.RedisError, ConnectionClosed) as error:
            fail(explain(error))
        except (NoServer, DemoFailed, CannotAct) as error:
            fail(str(error))

    return inner  # type: ignore[return-value]  # functools.wraps keeps the signature


def settings() -> Settings:
    """Load the settings from the environment; warn about unknown variables with our prefix.

    They are those of the cell in which the command runs.
    """
    for name, nearest in unknown_variables(os.environ).items():
        hint = f"; did you mean {nearest}?" if nearest else ""
        say(f"{name} is not a known setting and is ignored{hint}")
    return of_current_cell(load_settings(os.environ))


def of_current_cell(given: Settings) -> Settings:
    """Return the settings of the cell in which the command runs; those given if it is not known."""
    cell = current_cell.get()
    return settings_of(given, *cell) if cell else given


def connect() -> tuple[Broker, Ledger]:
    """Connect to the queues and the ledger that the environment names."""
    broker, ledger = ledger_from(settings())
    close_at_end(broker.client.close)
    return broker, ledger


def connect_acts() -> Acts:
    """Connect for what people do to refunds and letters."""
    given = settings()
    broker, ledger = ledger_from(given)
    close_at_end(broker.client.close)
    return acts_from(given, broker, ledger)


def user_name(get_name: Callable[[], str] = getpass.getuser) -> str:
    """Return who runs the command; in a container the user may have a number but no name."""
    try:
        return get_name()
    except (KeyError, OSError):  # KeyError until Python 3.12
        return f"user {os.getuid()}"


def close_at_end(close: Callable[[], object]) -> None:
    """Call *close* when the running command ends."""
    _opened.get().callback(close)
