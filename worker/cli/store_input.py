"""The site ID, account ID and API key of a store: from JSON, options, files or prompts."""

from __future__ import annotations

import sys
from pathlib import Path

import typer

from worker.cli.common import LONGEST_ID, NOT_SHOWN, fail
from worker.cli.files import Unreadable, read_json, read_text
from worker.observability.redaction import redact_text, register_secrets
from worker.stores.pasted import Pasted, clean

_FIELDS = ("site_id", "account_id", "api_key")


def from_stdin() -> Pasted:
    """Read one JSON object from standard input; error messages repeat none of its content."""
    try:
        given = read_json(read_text(None))
    except Unreadable as error:
        # Without the position in the text, which is of no use here.
        fail(f"standard input {str(error).partition(':')[0]}", code=2)
    if not isinstance(given, dict) or set(given) != set(_FIELDS):
        fail(f"--stdin takes one JSON object with exactly {', '.join(_FIELDS)}", code=2)
    if not all(isinstance(value, str) for value in given.values()):
        fail(f"{', '.join(_FIELDS)} must be strings", code=2)
    site, account, key = (given[name] for name in _FIELDS)
    return clean(site_id=site, account_id=account, api_key=key)


def from_options(site: str, account: str, api_key_file: str) -> Pasted:
    """Use options and files, and prompt for the rest; the key is never an argument nor echoed."""
    wanted = {"--site": site, "--account": account, "--api-key-file": api_key_file}
    missing = [name for name, value in wanted.items() if not value]
    if missing and not sys.stdin.isatty():
        fail(f"standard input is not a terminal, so give {', '.join(missing)}", code=2)
    site = site or typer.prompt("Site ID, or the dashboard's URL", err=True)
    account = account or typer.prompt("Account ID", err=True)
    key = (
        _read_key(api_key_file)
        if api_key_file
        else typer.prompt("API Key (not shown)", hide_input=True, err=True)
    )
    register_secrets([key.strip()])
    return clean(site_id=site, account_id=account, api_key=key)


def _read_key(place: str) -> str:
    try:
        text = read_text(None if place == "-" else Path(place))
    except Unreadable as error:
        # People give the key itself where its file name belongs.
        shown = redact_text(place) if len(place) <= LONGEST_ID else NOT_SHOWN
        fail(f"--api-key-file: {shown} {error}", code=2)
    # Every editor ends a file with a line break, so removing one is not worth a note.
    return text.removesuffix("\n").removesuffix("\r")
