"""JSON for machines: the fast way says the same as the thorough one, and lets no secret through."""

from __future__ import annotations

import json
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.observability.compact import compact, redacted_json
from worker.observability.redaction import MASK, redact
from worker.refund.outcomes import outcome

#: Secrets, and texts that look like pieces of JSON.
_TEXTS = st.sampled_from(
    [
        *("IST.abcdefGH.1234567", "bob@example.com", "Bearer abcdefgh", "https://u:pa55@h/x"),
        *("", "x", ":", '":', '"token":', ",", "\\", "\\u0040", "\n", "\x7f", "\xe9", "\ud800"),
    ]
)
_NAMES = st.sampled_from(["token", "Api-Key", "e mail", "why", "\\", '"', ":", ",", "\xe9", "n"])
_PLAIN = _TEXTS | st.none() | st.booleans() | st.integers()


def _larger(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    mappings = st.dictionaries(_NAMES, inner, max_size=3)
    lists = st.lists(inner, max_size=3)
    return mappings | mappings.map(MappingProxyType) | lists | lists.map(tuple)


_VALUES = st.dictionaries(_NAMES, st.recursive(_PLAIN, _larger, max_leaves=6), max_size=3)


@given(_VALUES)
def test_the_fast_way_masks_what_redact_masks(value: dict[str, Any]) -> None:
    """Whatever stands around a secret or the name of one."""
    text = json.dumps(redact(value), ensure_ascii=False, separators=(",", ":"))
    assert redacted_json(value) == text


@pytest.mark.parametrize("secret", ["bob@example.com", "harmless"])
def test_a_read_only_mapping_does_not_stop_a_step(secret: str) -> None:
    """JSON does not know it; redact() makes an object of it."""
    shown = MASK if "@" in secret else secret
    given_value = MappingProxyType({"why": secret})
    assert json.loads(redacted_json({"store": given_value})) == {"store": {"why": shown}}
    told = outcome("accepted", "request_refund", store=given_value)
    assert json.loads(told["data"])["store"] == {"why": shown}


@given(_VALUES)
def test_compact_json_can_be_read_again(value: dict[str, Any]) -> None:
    """Also half a surrogate pair, which pydantic's serializer refuses."""
    plain = json.loads(json.dumps(value, default=dict))
    assert json.loads(compact(plain)) == plain
