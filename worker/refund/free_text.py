"""The free texts of a job: how long they may be, and what is kept of them.

Checked only where a job enters: what is stored must stay readable whatever the limits become.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from worker.observability.redaction import redact, redact_text

#: Characters of each text; of a note in `metadata`, its value's.
LONGEST: Mapping[str, int] = MappingProxyType(
    {"reason": 500, "requested_by": 100, "metadata": 1_000}
)
LONGEST_NAME = 100


def wrong_texts(texts: Mapping[str, str], metadata: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """(field, what is wrong with it) of every text that is too long or broken."""
    notes = {f"metadata.{name[:LONGEST_NAME]}": text for name, text in metadata.items()}
    for place, text in {**texts, **notes}.items():
        longest = LONGEST[place.partition(".")[0]]
        if len(text) > longest:
            yield place, f"must have at most {longest} characters"
        if _is_broken(text):
            yield place, "holds half a character (a lone surrogate)"
    if any(len(name) > LONGEST_NAME or _is_broken(name) for name in metadata):
        yield "metadata", f"names must be whole text of at most {LONGEST_NAME} characters"


def _is_broken(text: str) -> bool:
    """Whether no UTF-8 can hold it."""
    return any("\ud800" <= character <= "\udfff" for character in text)


def clean_texts(texts: Mapping[str, str], metadata: Mapping[str, str]) -> dict[str, Any]:
    """The texts without secrets. A mask may be longer than what it hides: cut once more."""
    clean = {name: redact_text(text)[: LONGEST[name]] for name, text in texts.items()}
    notes = {
        name[:LONGEST_NAME]: str(text)[: LONGEST["metadata"]]
        for name, text in redact(metadata).items()
    }
    return {**clean, "metadata": notes}
