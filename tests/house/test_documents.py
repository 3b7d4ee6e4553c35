"""The documents say what the code says."""

from __future__ import annotations

import re

from config.docs import env_example
from tests.house.documents import ENV_EXAMPLE, README, ROOT, with_parts


def test_the_made_parts_of_the_readme_are_current() -> None:
    """`make docs` writes them; nobody has to remember."""
    text = README.read_text()
    assert text == with_parts(text)


def test_the_example_environment_is_current() -> None:
    """Every variable, with what it means."""
    assert ENV_EXAMPLE.read_text() == env_example()


def test_the_files_that_the_readme_names_exist() -> None:
    """A map with wrong names is worse than none."""
    named = re.findall(r"`((?:worker|statemachine|config|tests)/[\w/.]+)`", README.read_text())
    assert named
    assert [name for name in named if not (ROOT / name).exists()] == []
