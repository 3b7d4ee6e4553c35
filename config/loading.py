"""Load the settings; report errors by the name of the variable."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import EnvSettingsSource

from config.settings import PREFIX, Settings

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails


#: Settings that hold secrets: each can also be in a file.
SECRETS = (
    "redis_url",
    "wix_proxy",
    "stores",
    "vault_keys",
    "api_tokens",
    "console_tokens",
    "console_proxy",
    "webhooks",
    "producer_keys",
)

#: What is said instead of pydantic's text, which names our classes.
_WHY = {"model_type": "expected a JSON object"}


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
    """Build the settings from *environ* alone, and from the files that it names.

    Raises:
        SettingsError: a variable is missing or invalid; the text never repeats its value.
    """
    given = {name: _unquoted(value) for name, value in environ.items()}
    if bad := [name for name in _known() if not is_utf_8(given.get(name, ""))]:
        raise SettingsError("\n".join(f"{name} is not valid UTF-8" for name in bad))
    try:
        return Settings.model_validate(_Environment(given | _from_files(given))())
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False, include_context=False)
        raise SettingsError("\n".join(map(_line, problems))) from None


def is_utf_8(text: str) -> bool:
    """Whether a text from the environment or the command line was valid UTF-8.

    Python stands a lone surrogate for each byte that was not.
    """
    return not any("\ud800" <= char <= "\udfff" for char in text)


def _unquoted(value: str) -> str:
    """Return a value without the quotes that `docker --env-file` leaves around it."""
    is_quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "'\""
    return value[1:-1] if is_quoted else value


def file_variable(field: str) -> str:
    """Return the name of the variable that names the file of a secret."""
    return f"{variable(field)}_FILE"


def _from_files(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the secrets that are in files, as Docker and Kubernetes mount them.

    Raises:
        SettingsError: a file cannot be read, or the secret is given in both ways.
    """
    found = {}
    for field in SECRETS:
        name, path = variable(field), environ.get(file_variable(field))
        if not path:
            continue
        if environ.get(name):
            raise SettingsError(f"{name} and {name}_FILE are both set: leave one out")
        try:
            found[name] = Path(path).read_text(encoding="utf-8").strip()
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or "it is no text"
            raise SettingsError(f"{name}_FILE names a file that cannot be read: {why}") from None
    return found


def _line(problem: ErrorDetails) -> str:
    why = _WHY.get(problem["type"]) or problem["msg"].removeprefix("Value error, ")
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
    known = _known()
    return {
        name: (difflib.get_close_matches(name, known, n=1, cutoff=0.8) or [""])[0]
        for name in sorted(environ)
        if name.startswith(PREFIX) and name not in known
    }


def _known() -> list[str]:
    return [*map(variable, Settings.model_fields), *map(file_variable, SECRETS)]
