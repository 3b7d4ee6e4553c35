"""Do one act to each id of the command line, and print one result for each."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import typer

from worker.cli.common import named
from worker.cli.output import print_json, print_line
from worker.operations.acts.refusals import CannotAct


def act_on_each(ids: Iterable[str], act: Callable[[str], str], *, done: str, as_json: bool) -> None:
    """Do *act*, which returns what to say, to each id; the exit code is 1 if one was refused.

    With --json, *done* is the name of the object of results, by id.
    """
    results: dict[str, str] = {}
    is_done = True
    for each in dict.fromkeys(ids):
        try:
            results[named(each)] = act(each)
        except CannotAct as refusal:
            results[named(each)] = str(refusal)
            is_done = False
    if as_json:
        print_json({"ok": is_done, done: results})
    else:
        for name, text in results.items():
            print_line(f"{name}: {text}")
    if not is_done:
        raise typer.Exit(1)
