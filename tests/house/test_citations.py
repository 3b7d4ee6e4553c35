"""Everything that comments and documents cite is in the repository."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tests.house.documents import ROOT, tracked_files

WIX = ROOT / "worker" / "wix" / "README.md"
QUEUE = ROOT / "worker" / "queue" / "README.md"
#: Documents that exist outside the repository only.
ELSEWHERE = re.compile(r"wix-api\.md|design\.md|layout\.md|style\.md|[Ff]ield notes?\b")
#: A path of the repository, as it is written in comments and documents.
PATH = re.compile(r"\b(?:worker|statemachine|config|tests)/[\w./-]*\w")
#: The definition of a test.
TEST = re.compile(r"^def (test_\w+)\(", re.MULTILINE)


def _texts() -> Iterator[tuple[str, str]]:
    """Yield path and text of each file that may cite something, except this one."""
    for name in tracked_files(
        "*.py", "*.lua", "*.md", "*.json", "*.mjs", "*.rb", "*.toml", "Makefile"
    ):
        if name != "tests/house/test_citations.py":
            yield name, (ROOT / name).read_text(encoding="utf-8")


def _missing(cited: re.Pattern[str], known: set[str]) -> list[tuple[str, str]]:
    return [
        (name, number)
        for name, text in _texts()
        for number in cited.findall(text)
        if number not in known
    ]


def test_every_fact_about_wix_that_is_cited_exists() -> None:
    """A number such as `W30` is a row of worker/wix/README.md."""
    known = set(re.findall(r"^\| (W\d+) \|", WIX.read_text(encoding="utf-8"), re.MULTILINE))
    assert len(known) > 40
    assert _missing(re.compile(r"\b(W\d{1,2})\b"), known) == []


def test_every_pitfall_that_is_cited_exists() -> None:
    """A number such as `pitfall 3` is a row of worker/queue/README.md."""
    known = set(re.findall(r"^\| (\d+) \|", QUEUE.read_text(encoding="utf-8"), re.MULTILINE))
    assert len(known) > 10
    assert _missing(re.compile(r"\b[Pp]itfalls? (\d+)"), known) == []


def test_every_test_of_a_pitfall_exists() -> None:
    """Each row of worker/queue/README.md names the tests that show what it says."""
    rows = re.findall(r"^\| (\d+) \|(.*)\|$", QUEUE.read_text(encoding="utf-8"), re.MULTILINE)
    named = {number: re.findall(r"`(test_\w+)`", row) for number, row in rows}
    assert all(named.values())
    tests = {name: set(TEST.findall(text)) for name, text in _texts()}
    written = set().union(*tests.values())
    assert [name for names in named.values() for name in names if name not in written] == []
    shown = [test for name, found in tests.items() if "/pitfalls/" in name for test in found]
    assert {test.split("_")[1] for test in shown} <= set(named)


def test_no_document_outside_the_repository_is_cited() -> None:
    """A reader of the repository could not look it up."""
    assert [
        (name, ELSEWHERE.findall(text)) for name, text in _texts() if ELSEWHERE.search(text)
    ] == []


def test_every_path_that_is_named_exists() -> None:
    """If a file is moved or renamed, its mentions change too."""
    found = [(name, path) for name, text in _texts() for path in PATH.findall(text)]
    # Only there where Node is installed.
    named = [(name, path) for name, path in found if not path.endswith("/node_modules")]
    assert len(named) > 20
    assert [(name, path) for name, path in named if not (ROOT / path).exists()] == []
