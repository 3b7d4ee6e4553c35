"""The readers that atheris searches, and that it would find a defect in one."""

from __future__ import annotations

import importlib.util
import random
from collections.abc import Callable

import pytest

from tests.fuzz.guided import search
from tests.fuzz.mutations import odd_bytes
from tests.fuzz.readers import READERS, read


@pytest.mark.parametrize("number", range(len(READERS)), ids=[one.__name__ for one, _ in READERS])
def test_a_reader_refuses_strange_bytes_with_its_own_error(number: int) -> None:
    """Here changed by chance, without atheris."""
    chance = random.Random(number)  # noqa: S311 - repeatable on purpose
    for right in READERS[number][1]:
        read(bytes([number]) + right)
        for _ in range(200):
            read(bytes([number]) + odd_bytes(chance, right))


def test_a_reader_that_fails_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing between it and atheris swallows its error."""

    def broken(_: bytes) -> None:
        raise KeyError

    defects: tuple[tuple[Callable[[bytes], None], tuple[bytes, ...]], ...] = ((broken, ()),)
    monkeypatch.setattr("tests.fuzz.readers.READERS", defects)
    with pytest.raises(KeyError):
        read(b"\x00any")


def test_a_short_search_finds_nothing() -> None:
    """With atheris, which is no dependency."""
    if not importlib.util.find_spec("atheris"):
        pytest.skip("atheris is not installed")
    assert search("-runs=2000") == 0
