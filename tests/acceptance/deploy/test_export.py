"""`refunds deploy export`, and what all exported files have in common."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from config.loading import SECRETS
from config.settings import PREFIX, Settings
from tests.support.commands import refunds
from worker.deploy.files import FILES, FOLDER

#: What is for the package and not for the operator.
OURS = {"README.md", "__init__.py", "files.py", "roles.py"}


def _files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_every_file_is_exported_as_it_is_in_the_package(tmp_path: Path) -> None:
    """Also into a directory that does not exist yet; its paths are printed."""
    done = refunds(None, "deploy", "export", str(tmp_path / "a" / "b"))
    assert done.returncode == 0
    exported = _files(tmp_path / "a" / "b")
    assert exported == {name: text for name, text in _files(FOLDER).items() if name not in OURS}
    assert set(done.stdout.split()) == {str(tmp_path / "a" / "b" / name) for name in exported}


def test_nothing_is_overwritten_by_accident(tmp_path: Path) -> None:
    """Not even the files that are missing are written; --force replaces those of the same name."""
    (tmp_path / "Containerfile").write_text("mine")
    (tmp_path / "other").write_text("mine")
    done = refunds(None, "deploy", "export", str(tmp_path), "--json")
    assert done.returncode == 1
    assert str(tmp_path / "Containerfile") in json.loads(done.stdout)["error"]["message"]
    assert set(_files(tmp_path)) == {"Containerfile", "other"}
    assert (tmp_path / "Containerfile").read_text() == "mine"
    done = refunds(None, "deploy", "export", str(tmp_path), "--force", "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout) == {
        "ok": True,
        "files": [str(tmp_path / name) for name in FILES],
    }
    assert (tmp_path / "Containerfile").read_bytes() == (FOLDER / "Containerfile").read_bytes()
    assert (tmp_path / "other").read_text() == "mine"


def test_what_is_written_for_prometheus_and_grafana_is_told_in_the_same_way(tmp_path: Path) -> None:
    """The paths, one per line; nothing of them is to be adapted, so they are replaced."""
    names = ("alerts.yml", "dashboard.json")
    paths = [str(tmp_path / "a" / name) for name in names]
    for _ in range(2):
        done = refunds(None, "observability", "export", str(tmp_path / "a"))
        assert (done.stdout.splitlines(), done.stderr) == (paths, "")
    done = refunds(None, "observability", "export", str(tmp_path / "a"), "--json")
    assert json.loads(done.stdout) == {"ok": True, "files": paths}
    folder = FOLDER.parent / "observability"
    assert _files(tmp_path / "a") == {name: (folder / name).read_bytes() for name in names}


@pytest.mark.parametrize("group", ["deploy", "observability"])
def test_a_directory_that_cannot_be_written_is_named(tmp_path: Path, group: str) -> None:
    """Without a traceback."""
    (tmp_path / "file").write_text("")
    done = refunds(None, group, "export", str(tmp_path / "file"))
    assert done.returncode == 1
    assert done.stderr == f"{tmp_path / 'file'} cannot be written: Not a directory\n"


@pytest.mark.parametrize("name", FILES)
def test_every_setting_that_a_file_names_exists(name: str) -> None:
    """A setting that was renamed would be ignored by the worker."""
    named = set(re.findall(rf"\b{PREFIX}([A-Z][A-Z_]*[A-Z])\b", (FOLDER / name).read_text()))
    known = {*Settings.model_fields, *(f"{field}_file" for field in SECRETS)}
    assert {each.lower() for each in named} - known == set()


@pytest.mark.parametrize("name", FILES)
def test_a_file_holds_no_secret(name: str) -> None:
    """Passwords and keys are put beside the files, or come from the environment."""
    text = (FOLDER / name).read_text().replace("topologyKey:", "")
    assert (
        re.findall(r"(?i)(?:password|secret|token|key)s? *[=:] *['\"]?[\w+-][\w/+-]{7,}", text)
        == []
    )
    addresses = re.findall(r"redis\S*://[^/\s:]*:([^@\s]+)@", text)
    assert [password for password in addresses if not password.startswith("${")] == []


@pytest.mark.parametrize("name", FILES)
def test_every_image_has_a_tag_and_no_registry(name: str) -> None:
    """`latest` is another image tomorrow; and images come from where the reader's do."""
    text = (FOLDER / name).read_text()
    images = re.findall(r"^(?:FROM| *-? *image:) (\S+)", text, re.MULTILINE)
    assert [image for image in images if not re.fullmatch(r"[\w/-]+:v?\d[\w.-]*", image)] == []
