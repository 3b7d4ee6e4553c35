"""How a store's three things reach us: JSON, options and files, or questions at a terminal."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import typer

from worker.cli.common import fail
from worker.observability.redaction import redact_text, register_secrets

_FIELDS = ("site_id", "account_id", "api_key")


def from_stdin() -> dict[str, str]:
    """Read one JSON object; nothing of it is ever repeated."""
    try:
        given = json.loads(sys.stdin.read())
    except ValueError:
        fail("standard input holds no JSON", 2)
    if not isinstance(given, dict) or set(given) != set(_FIELDS):
        fail(f"--stdin takes one JSON object with exactly {', '.join(_FIELDS)}", 2)
    if not all(isinstance(value, str) for value in given.values()):
        fail(f"{', '.join(_FIELDS)} are texts", 2)
    return {name: given[name] for name in _FIELDS}


def from_options(site: str, account: str, api_key_file: str) -> dict[str, str]:
    """From options, files and prompts; the key is never an argument and never echoed."""
    wanted = {"--site": site, "--account": account, "--api-key-file": api_key_file}
    missing = [name for name, value in wanted.items() if not value]
    if missing and not sys.stdin.isatty():
        fail(f"without a terminal to ask at, {' and '.join(missing)} must be given", 2)
    site = site or typer.prompt("Site ID, or the dashboard's URL", err=True)
    account = account or typer.prompt("Account ID", err=True)
    key = (
        _read_key(api_key_file)
        if api_key_file
        else typer.prompt("API Key (not shown)", hide_input=True, err=True)
    )
    register_secrets([key.strip()])
    return {"site_id": site, "account_id": account, "api_key": key}


def _read_key(place: str) -> str:
    try:
        text = sys.stdin.read() if place == "-" else Path(place).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        # Redacted: somebody may give the key itself for the name of its file.
        why = getattr(error, "strerror", None) or "it is no text"
        fail(f"--api-key-file: {redact_text(place)} cannot be read: {why}", 2)
    # Every editor ends a file with a line break: that is not worth a word.
    return text.removesuffix("\n").removesuffix("\r")
