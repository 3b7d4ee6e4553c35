"""The free text of a job: length limits, and redaction before it is stored.

`metadata` is the caller's: it is stored and returned as it came, and masked only where people see
it. Checked only when a job arrives: a stored job must stay readable even if a limit changes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from worker.observability.redaction import redact_text

#: Maximum number of characters; for `metadata`, of each value.
LONGEST: Mapping[str, int] = MappingProxyType(
    {"reason": 500, "requested_by": 100, "metadata": 1_000}
)
#: Maximum number of characters of a key in `metadata`.
LONGEST_NAME = 100


def wrong_texts(texts: Mapping[str, str], metadata: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield (field, problem) for each text that is too long or cannot be encoded."""
    notes = {f"metadata.{name[:LONGEST_NAME]}": text for name, text in metadata.items()}
    for place, text in {**texts, **notes}.items():
        longest = LONGEST[place.partition(".")[0]]
        if len(text) > longest:
            yield place, f"must have at most {longest} characters"
        if _is_broken(text):
            yield place, "contains half a character (a lone surrogate)"
    if any(len(name) > LONGEST_NAME or _is_broken(name) for name in metadata):
        yield "metadata", f"keys must be valid text of at most {LONGEST_NAME} characters"


def _is_broken(text: str) -> bool:
    """Whether the text contains lone surrogates, which UTF-8 cannot encode."""
    return any("\ud800" <= character <= "\udfff" for character in text)


def clean_texts(texts: Mapping[str, str]) -> dict[str, str]:
    """Return the texts with secrets masked; a mask may be longer than the secret, so cut again."""
    return {name: redact_text(text)[: LONGEST[name]] for name, text in texts.items()}
