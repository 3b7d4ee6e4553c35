"""Documents agree with the code."""

from __future__ import annotations

import re
import tomllib
from itertools import chain

import pytest

from config.docs import env_example
from tests.house.documents import ENV_EXAMPLE, ROOT, deployed, documents, with_parts
from worker.refund.outcomes import STORE_TYPES, TYPES
from worker.refund.schema import NAMES, Name, schema_file, schema_text
from worker.upstream.rules import RULES


def test_the_generated_parts_of_the_documents_are_current() -> None:
    """If this fails, run `make docs`."""
    texts = documents()
    assert texts == with_parts(texts)


def test_the_first_page_is_short() -> None:
    """At most 200 lines; everything else is in the README of its folder."""
    assert len((ROOT / "README.md").read_text().splitlines()) <= 200


def test_the_reason_for_each_dependency_is_documented() -> None:
    """A new dependency needs a row in .github/CONTRIBUTING.md."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    listed = [*project["dependencies"], *chain(*project["optional-dependencies"].values())]
    names = {re.split(r"[<>=\[]", each)[0].removeprefix("types-") for each in listed}
    names -= {project["name"]}
    text = (ROOT / ".github" / "CONTRIBUTING.md").read_text()
    assert [name for name in sorted(names) if name not in text] == []


def test_every_make_target_is_documented() -> None:
    """In the table of .github/CONTRIBUTING.md."""
    targets = re.findall(r"^([a-z]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE)
    text = (ROOT / ".github" / "CONTRIBUTING.md").read_text()
    assert [name for name in targets if f"`make {name}`" not in text] == []


def test_the_links_of_the_documents_are_not_broken() -> None:
    """Relative links lead to existing files."""
    broken = [
        (str(path.relative_to(ROOT)), target)
        for path, text in documents().items()
        for target in re.findall(r"\]\(([^)#:]+)\)", text)
        if not (path.parent / target).exists()
    ]
    assert broken == []


def test_every_type_of_outcome_is_documented() -> None:
    """Upstream looks them up in worker/refund/README.md."""
    text = (ROOT / "worker" / "refund" / "README.md").read_text()
    types = {*TYPES.values(), *STORE_TYPES.values()}
    assert [name for name in types if f"`{name}`" not in text] == []


def test_the_example_environment_is_current() -> None:
    """It lists each variable with its meaning."""
    assert ENV_EXAMPLE.read_text() == env_example()


def test_the_generated_files_in_worker_deploy_are_current() -> None:
    """The users of Redis, and what a container installs. If this fails, run `make docs`."""
    assert {path: path.read_text() for path in deployed()} == deployed()


@pytest.mark.parametrize("name", NAMES)
def test_the_schemas_in_upstreams_package_are_current(name: Name) -> None:
    """If this fails, run `make docs`."""
    assert schema_file(name).read_text() == schema_text(name)


def test_every_rule_of_a_field_is_documented() -> None:
    """Upstream looks them up in worker/upstream/README.md."""
    text = (ROOT / "worker" / "upstream" / "README.md").read_text()
    rows = [f"| `{rule}` | {meaning} |" for rule, meaning in RULES.items()]
    assert [row for row in rows if row not in text] == []
