"""Which option somebody meant who wrote one that does not exist."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

#: How similar two options must be: typer would suggest --file for --id.
CUTOFF = 0.75


def similar_options(given: str, known: Iterable[str]) -> Sequence[str]:
    """Return the options of which *given* has all words, or some only; then those spelled alike."""
    options, words = {one.strip("-"): one for one in known}, _words(given)
    by_words = [name for name in options if _words(name) <= words or words <= _words(name)]
    by_letters = difflib.get_close_matches(given.strip("-"), options, cutoff=CUTOFF)
    return [options[name] for name in dict.fromkeys([*by_words, *by_letters])]


def _words(option: str) -> set[str]:
    return set(option.strip("-").split("-"))
