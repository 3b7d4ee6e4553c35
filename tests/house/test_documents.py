"""The documents say what the code says."""

from __future__ import annotations

import re

from config.docs import env_example
from tests.house.documents import ENV_EXAMPLE, ROOT, documents, with_parts


def test_the_generated_parts_of_the_documents_are_current() -> None:
    """`make docs` writes them."""
    texts = documents()
    assert texts == with_parts(texts)


def test_the_first_page_is_short() -> None:
    """Everything else is in the README of the folder that it is about."""
    assert len((ROOT / "README.md").read_text().splitlines()) <= 200


def test_the_links_of_the_documents_lead_somewhere() -> None:
    """Relative links; a page that moved takes them along."""
    broken = [
        (str(path.relative_to(ROOT)), target)
        for path, text in documents().items()
        for target in re.findall(r"\]\(([^)#:]+)\)", text)
        if not (path.parent / target).exists()
    ]
    assert broken == []


def test_the_example_environment_is_current() -> None:
    """Every variable, with what it means."""
    assert ENV_EXAMPLE.read_text() == env_example()


def test_the_files_that_the_documents_name_exist() -> None:
    """A map with wrong names is worse than none."""
    texts = "\n".join(documents().values())
    named = re.findall(r"`((?:worker|statemachine|config|tests)/[\w/.]+)`", texts)
    assert named
    assert [name for name in named if not (ROOT / name).exists()] == []
