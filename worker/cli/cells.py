"""In which cell a command runs: that of a refund or store, or each of them in turn.

Inside, `common.settings` are those of the cell, so the command itself knows of no cells.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from functools import wraps
from typing import Any, TypeVar

import redis
import typer
from dramatiq.errors import ConnectionClosed

from config.loading import load_settings
from config.settings import Settings
from worker.cells.finding import Finder
from worker.cells.names import FRONT
from worker.cells.routing import directory_from
from worker.cells.settings import settings_of
from worker.cli.cell_results import NothingToDo, join_documents
from worker.cli.choosing import Chosen
from worker.cli.common import current_cell, fail, named
from worker.cli.output import collecting, print_json, print_line, say
from worker.errors import StoreInTwoCells
from worker.queue.server_errors import explain

Command = TypeVar("Command", bound=Callable[..., None])
#: The cell that `refunds --cell` names; "" for all.
wanted_cell: ContextVar[str] = ContextVar("wanted_cell", default="")


@contextmanager
def finder() -> Iterator[Finder]:
    """Look for the cells of things."""
    clients, directory = directory_from(load_settings(os.environ), {})
    try:
        found = Finder(clients, directory)
        if wanted_cell.get() not in ("", *found.cells):
            fail(f"there is no such cell; there are {', '.join(found.cells)}", code=2)
        yield found
    finally:
        clients.close()


def all_settings(given: Settings) -> dict[str, Settings]:
    """Return the settings of each cell that a command looks at, by its name."""
    if here := current_cell.get():
        return {here[0]: given}
    with finder() as find:
        return {cell: settings_of(given, cell, find.count) for cell in _wanted(find.cells)}


def in_cells(look: Callable[[Finder, dict[str, Any]], Sequence[str]]) -> Callable[..., Any]:
    """Run a command in each cell that *look* names; with --json the results are joined."""

    def decorate(command: Command) -> Command:
        @wraps(command)
        def inner(**options: Any) -> None:
            with finder() as find:
                cells, count = _wanted(look(find, options)), find.count
            as_json = bool(options.get("as_json"))
            _run_in(cells, count, lambda _: command(**options), as_json=as_json)

        return inner  # type: ignore[return-value]  # functools.wraps keeps the signature

    return decorate


def in_cell_of(look: Callable[[Finder, dict[str, Any]], Sequence[str]]) -> Callable[..., Any]:
    """Run a command in the cell that *look* finds; what is nowhere is looked for at the front."""

    def decorate(command: Command) -> Command:
        @wraps(command)
        def inner(**options: Any) -> None:
            with finder() as find:
                found = list(_wanted(())) or list(look(find, options)) if find.count > 1 else ()
                cell, count = _the_only(found), find.count
            with _in(cell, count):
                command(**options)

        return inner  # type: ignore[return-value]  # functools.wraps keeps the signature

    return decorate


def in_cells_of_chosen(command: Command) -> Command:
    """Run an act on what was chosen: each id in its cell, and a selection in each cell.

    All cells share its rate. A canary is done in one cell, and nothing is begun in the others.
    """

    @wraps(command)
    def inner(*, chosen: Chosen, **options: Any) -> None:
        with finder() as find:
            parts, count = _parts(find, chosen), find.count
        parts = {cell: replace(one, rate=one.rate / len(parts)) for cell, one in parts.items()}
        _run_in(
            parts,
            count,
            lambda cell: command(chosen=parts[cell], **options),
            as_json=bool(options.get("as_json")),
            in_one=bool(chosen.canary) and not options.get("dry_run"),
        )

    return inner  # type: ignore[return-value]  # functools.wraps keeps the signature


@contextmanager
def in_home_of(store_id: str) -> Iterator[None]:
    """Work in the cell of a store, which gets one if it has none."""
    with finder() as find:
        home, count = find.home(store_id) if find.count > 1 else FRONT, find.count
    with _in(home, count):
        yield


def that_live_here(store_ids: Sequence[str]) -> list[str]:
    """Return the stores that live in the cell in which the command runs, or in none."""
    here = current_cell.get()
    if not here or here[1] == 1:
        return list(store_ids)
    with finder() as find:
        return [one for one in store_ids if _of_store(find, one) == here[0]]


def _parts(find: Finder, chosen: Chosen) -> dict[str, Chosen]:
    if find.count == 1 or wanted_cell.get():
        return {wanted_cell.get() or FRONT: chosen}
    if chosen.selection is not None:
        store = chosen.selection.store
        cells = [_of_store(find, store)] if store else find.cells
        return dict.fromkeys(cells, chosen)
    by_cell: dict[str, list[str]] = {}
    for one in chosen.ids:
        by_cell.setdefault(_the_only(find.of_refund(one)), []).append(one)
    return {cell: replace(chosen, ids=tuple(ids)) for cell, ids in by_cell.items()}


def _run_in(
    cells: Iterable[str],
    count: int,
    run: Callable[[str], None],
    *,
    as_json: bool,
    in_one: bool = False,
) -> None:
    """Run in one cell after the other; with *in_one* until one of them has something to do."""
    names, codes, documents = list(cells), [], {}
    if len(names) == 1:
        with _in(names[0], count):
            run(names[0])
        return
    for cell in names:
        if not as_json:
            print_line(f"Cell {cell}:")
        with collecting() if as_json else _shown() as told, _in(cell, count):
            try:
                codes.append(_code_of(run, cell, told))
            except NothingToDo:
                continue
            documents[cell] = told
        if in_one:
            _say_left(names[names.index(cell) + 1 :])
            break
    if not codes and not documents:
        fail("nothing matches in any cell")
    if as_json:
        print_json(join_documents(documents))
    if any(codes):
        raise typer.Exit(max(codes))


def _code_of(run: Callable[[str], None], cell: str, told: list[Any]) -> int:
    """Run in one cell and return the exit code; if its server fails, the others go on.

    Above all a pause must reach as many as possible.
    """
    try:
        run(cell)
    except NothingToDo:
        raise
    except typer.Exit as end:
        return end.exit_code
    except (redis.RedisError, ConnectionClosed) as error:
        text = f"cell {cell}: {explain(error)}"
        say(text)
        told.append({"ok": False, "error": {"message": text}})
        return 1
    return 0


def _say_left(cells: Sequence[str]) -> None:
    if cells:
        text = f"because of --canary nothing was begun in the cells {', '.join(cells)}"
        say(f"{text}; after it, give the same command for the rest")


@contextmanager
def _shown() -> Iterator[list[Any]]:
    """Collect nothing: the command prints for people, with a line between two cells."""
    yield []
    print_line()


@contextmanager
def _in(cell: str, count: int) -> Iterator[None]:
    before = current_cell.set((cell, count))
    try:
        yield
    finally:
        current_cell.reset(before)


def _wanted(cells: Sequence[str]) -> Sequence[str]:
    return (wanted_cell.get(),) if wanted_cell.get() else cells


def _the_only(found: Sequence[str]) -> str:
    if len(found) > 1:
        text = f"it is in the cells {' and '.join(found)}: say which one, with refunds --cell"
        fail(text, code=2)
    return found[0] if found else FRONT


def _of_store(find: Finder, store_id: str) -> str:
    try:
        return find.of_store(named(store_id).lower()) or FRONT
    except StoreInTwoCells as error:
        return _the_only(error.cells)


def _home_of(find: Finder, store_id: str) -> str:
    """Return the cell of a store for what must hold there later.

    A store of REFUNDS_STORES that has no cell yet gets one now, and not with its first job.
    """
    known = named(store_id).lower()
    try:
        is_given = known in load_settings(os.environ).stores
        return find.home(known) if is_given else _of_store(find, known)
    except StoreInTwoCells as error:
        return _the_only(error.cells)


#: Where commands find what their parameters name.
of_refund = in_cell_of(
    lambda find, options: (
        find.of_refund(options.get("refund_id") or options.get("letter_id") or "")
        or find.of_order(options.get("order") or "")
    )
)
of_store = in_cell_of(lambda find, options: [_of_store(find, options["store_id"])])
home_of_store = in_cell_of(lambda find, options: [_home_of(find, options["store_id"])])
of_store_or_each = in_cells(
    lambda find, options: (
        [_of_store(find, options["store_id"])] if options["store_id"] else find.cells
    )
)
in_each_cell = in_cells(lambda find, _: find.cells)
of_job = in_cell_of(lambda find, options: find.of_job(options["job_id"]))
