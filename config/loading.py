"""Read the settings; say what is wrong by the variable's name."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from config.settings import PREFIX, Settings


class SettingsError(ValueError):
    """The environment does not make a valid configuration; each line names a variable."""


def variable(field: str) -> str:
    """Name the environment variable of a field."""
    return PREFIX + field.upper()


def example(info: FieldInfo) -> str:
    """Give one right value of a field, as it would be written in the environment."""
    return str(info.examples[0] if info.examples else info.default)


def load_settings(environ: Mapping[str, str]) -> Settings:
    """Build the settings from *environ* alone.

    Raises:
        SettingsError: a variable is missing or malformed; its value is never repeated.
    """
    known = {variable(name): name for name in Settings.model_fields}
    given = {name: environ[var] for var, name in known.items() if environ.get(var, "") != ""}
    try:
        return Settings.model_validate(given)
    except ValidationError as error:
        raise SettingsError("\n".join(_lines(error))) from None


def _lines(error: ValidationError) -> list[str]:
    lines = []
    for problem in error.errors(include_url=False, include_input=False, include_context=False):
        if not problem["loc"]:  # of several settings together; the text names them
            lines.append(problem["msg"].removeprefix("Value error, "))
            continue
        field = str(problem["loc"][0])
        info = Settings.model_fields[field]
        # Only what looks like a field or an id: a key pasted in the wrong place is not repeated.
        parts = [str(part) for part in problem["loc"][1:]]
        where = ".".join(part for part in parts if re.fullmatch(r"[\w-]{1,40}", part))
        why = problem["msg"].removeprefix("Value error, ")
        said = "is not set" if problem["type"] == "missing" else f"is not right: {why}"
        right = f"; a right value would be: {example(info)}" if example(info) else ""
        lines.append(f"{variable(field)} {said}{f' (at {where})' if where else ''}{right}")
    return lines


def unknown_variables(environ: Mapping[str, str]) -> dict[str, str]:
    """Find variables with our prefix that no setting reads: name to the nearest known one or ""."""
    known = [variable(name) for name in Settings.model_fields]
    return {
        name: (difflib.get_close_matches(name, known, n=1, cutoff=0.8) or [""])[0]
        for name in sorted(environ)
        if name.startswith(PREFIX) and name not in known
    }
