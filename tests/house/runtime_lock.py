"""The part of requirements.lock that a container needs: no tools, no tests, no embedded server."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
#: The extras that the container has: the HTTP API, the console, traces, and reports of bugs.
EXTRAS = ("http", "console", "otel", "sentry")


def runtime_lock() -> str:
    """Return the entries of the lock file that the worker and these extras need."""
    text = (ROOT / "requirements.lock").read_text()
    entries = {entry.split("==")[0]: entry for entry in re.split(r"\n(?=\S)", text.strip())}
    wanted = dict.fromkeys(needed("wix-refund-worker", EXTRAS, set(entries)))
    return "".join(f"{entry}\n" for name, entry in entries.items() if name in wanted)


def needed(package: str, extras: tuple[str, ...], locked: set[str]) -> Iterator[str]:
    """Yield what *package* needs, itself or through others, on whatever platform."""
    try:
        lines = requires(package) or ()
    except PackageNotFoundError:
        return  # only another Python needs it, and it needs nothing
    for line in lines:
        requirement = Requirement(line)
        name = requirement.name.lower().replace("_", "-")
        marker = str(requirement.marker or "")
        is_wanted = "extra" not in marker or any(
            f'extra == "{extra}"' in marker for extra in extras
        )
        if is_wanted and name in locked:
            yield name
            yield from needed(name, tuple(requirement.extras), locked)
