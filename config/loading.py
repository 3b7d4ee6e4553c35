"""Load the settings; report errors by the name of the variable."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import EnvSettingsSource

from config.settings import PREFIX, Settings

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails


class SettingsError(ValueError):
    """The environment is not a valid configuration; each line of the text names a variable."""


class _Environment(EnvSettingsSource):
    """pydantic's source for environment variables, on a mapping instead of `os.environ`."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        super().__init__(Settings)
        self.env_vars = {
            name.lower(): value for name, value in environ.items() if value and name.isupper()
        }


def variable(field: str) -> str:
    """Return the name of a field's environment variable."""
    return PREFIX + field.upper()


def example(info: FieldInfo) -> str:
    """Return one valid value of a field, as it is written in the environment."""
    return str(info.examples[0] if info.examples else info.default)


def load_settings(environ: Mapping[str, str]) -> Settings:
    """Build the settings from *environ* alone.

    Raises:
        SettingsError: a variable is missing or invalid; the text never repeats its value.
    """
    try:
        return Settings.model_validate(_Environment(environ)())
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False, include_context=False)
        raise SettingsError("\n".join(map(_line, problems))) from None


def _line(problem: ErrorDetails) -> str:
    why = problem["msg"].removeprefix("Value error, ")
    if not problem["loc"]:  # concerns several settings; the message names them
        return why
    field, *inner = [str(part) for part in problem["loc"]]
    # Name only what looks like a field or an id: it may be an API key in the wrong place.
    where = ".".join(part for part in inner if re.fullmatch(r"[\w-]{1,40}", part))
    what = "is not set" if problem["type"] == "missing" else f"is invalid: {why}"
    valid = example(Settings.model_fields[field])
    return (
        f"{variable(field)} {what}"
        + (f" (at {where})" if where else "")
        + (f"; example: {valid}" if valid else "")
    )


def unknown_variables(environ: Mapping[str, str]) -> dict[str, str]:
    """Map variables with our prefix that are not settings to the most similar setting, or ""."""
    known = [variable(name) for name in Settings.model_fields]
    return {
        name: (difflib.get_close_matches(name, known, n=1, cutoff=0.8) or [""])[0]
        for name in sorted(environ)
        if name.startswith(PREFIX) and name not in known
    }
