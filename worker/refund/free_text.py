"""The free text of a job: length limits, and redaction before it is stored.

`metadata` is the caller's: it is stored and returned as it came, and masked only where people see
it. Checked only when a job arrives: a stored job must stay readable even if a limit changes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from worker.observability.redaction import redact_text
from worker.upstream.rules import BROKEN, LONGEST, LONGEST_NAME, WRONG_KEYS, at_most, is_broken


def wrong_texts(texts: Mapping[str, str], metadata: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield (field, problem) for each text that is too long or cannot be encoded."""
    notes = {f"metadata.{name[:LONGEST_NAME]}": text for name, text in metadata.items()}
    for place, text in {**texts, **notes}.items():
        longest = LONGEST[place.partition(".")[0]]
        if len(text) > longest:
            yield place, at_most(longest, "characters")
        if is_broken(text):
            yield place, BROKEN
    if any(len(name) > LONGEST_NAME or is_broken(name) for name in metadata):
        yield "metadata", WRONG_KEYS


def clean_texts(texts: Mapping[str, str]) -> dict[str, str]:
    """Return the texts with secrets masked; a mask may be longer than the secret, so cut again."""
    return {name: clean_text(name, text) for name, text in texts.items()}


def clean_text(name: str, text: str) -> str:
    """Return one text of this field with secrets masked."""
    return redact_text(text)[: LONGEST[name]]
