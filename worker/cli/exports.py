"""Writing files of the package to a directory, as `deploy export` and `observability export` do."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated

import typer

from worker.cli.common import fail
from worker.cli.output import print_json, print_line

Directory = Annotated[Path, typer.Argument(help="Where to write them; made if necessary.")]


def write_and_print(write: Callable[[], Iterable[Path]], *, as_json: bool) -> None:
    """Write files and print their paths; end with a message if one cannot be written."""
    try:
        written = [str(path) for path in write()]
    except OSError as error:
        fail(f"{error.filename} cannot be written: {error.strerror}")
    if as_json:
        print_json({"ok": True, "files": written})
    else:
        for path in written:
            print_line(path)
