"""Upstream's wheel: built, installed in an environment of its own, and used with a real worker."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from statemachine.flows import State
from tests.support.processes import PATIENCE_S
from tests.support.rig import AFTER, STORE_ID, Rig

ROOT = Path(__file__).parents[3]
WHEEL = ROOT / "worker" / "upstream"
#: What must not be imported until a `RefundQueue` is made, or never.
HEAVY = {"asyncio", "redis", "dramatiq", "httpx", "pydantic", "structlog", "typer", "rich"}

_SEND = """
import json, sys
from wix_refund_queue import InvalidJob, RefundQueue
url, namespace, job = sys.argv[1:]
with RefundQueue(url, namespace=namespace) as queue:
    try:
        queue.request(refund_id="rf-1")
    except InvalidJob as error:
        print(sorted(error.problems))
    print(queue.request(**json.loads(job)))
"""
_READ = """
import sys
from wix_refund_queue import RefundQueue
with RefundQueue(sys.argv[1], namespace=sys.argv[2]) as queue:
    first, *others = queue.outcomes()
    print(first.event["type"], first.event["subject"])
    print([event["type"] for _, event in queue.outcomes(after=first.position)])
"""
_IMPORT = """
import sys
before = set(sys.modules)
import {module}
print(sorted(set(sys.modules) - before))
"""


def _python39() -> str:
    """Return the path of a Python 3.9; skip the test if there is none."""
    installed = sorted((Path.home() / ".pyenv" / "versions").glob("3.9.*/bin/python"))
    for python in filter(None, (shutil.which("python3.9"), *map(str, installed))):
        # One of pyenv's shims may lead to a version that is not installed.
        if not subprocess.call((python, "-c", "import ensurepip"), stderr=subprocess.DEVNULL):
            return python
    return pytest.skip("Python 3.9 is not installed")


def _run(*command: str) -> str:
    done = subprocess.run(
        command, cwd="/", capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_both_wheels_have_the_same_licence() -> None:
    """The MIT licence must be in each copy; a wheel cannot take a file from outside its folder."""
    assert (WHEEL / "LICENSE").read_text() == (ROOT / "LICENSE").read_text()


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A Python 3.9 with the wheel and nothing else of ours."""
    base, place = _python39(), tmp_path_factory.mktemp("wheel")
    pip = ("-m", "pip", "--disable-pip-version-check", "--quiet")
    _run(
        sys.executable,
        *pip,
        "wheel",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        str(place),
        str(WHEEL),
    )
    [wheel] = place.glob("*.whl")
    _run(base, "-m", "venv", str(place / "venv"))
    python = str(place / "venv" / "bin" / "python")
    installed = subprocess.run(
        (python, *pip, "install", str(wheel)), capture_output=True, text=True, check=False
    )
    if installed.returncode:
        pytest.skip(f"redis cannot be downloaded: {installed.stderr.splitlines()[-1]}")
    return python


def test_a_job_goes_from_the_wheel_to_wix_and_its_outcome_back(rig: Rig, python: str) -> None:
    """With the oldest Python, in a process of its own, without any of the worker's code."""
    url, namespace = rig.settings.redis_url.get_secret_value(), rig.settings.namespace
    job = {
        "refund_id": "rf-1",
        "store_id": STORE_ID,
        "order_id": rig.order(AFTER).id,
        "metadata": {"ticket": "ä 7"},
    }
    sent = _run(python, "-c", _SEND, url, namespace, json.dumps(job))
    assert sent.splitlines() == ["['order_id', 'store_id']", "rf-1"]
    rig.run_until_idle()
    refund = rig.load("rf-1")
    assert (refund.state, refund.request.metadata) == (State.REFUNDED, {"ticket": "ä 7"})
    heard = _run(python, "-c", _READ, url, namespace)
    assert heard.splitlines() == ["refund.accepted rf-1", "['refund.finished']"]


def test_the_wheel_imports_nothing_heavy(python: str) -> None:
    """A web service that imports it must not start noticeably slower."""
    found = _run(python, "-c", _IMPORT.format(module="wix_refund_queue"))
    names = {name.partition(".")[0] for name in json.loads(found.replace("'", '"'))}
    assert "wix_refund_queue" in names
    assert names & HEAVY == set()


def test_the_client_inside_of_the_worker_is_as_light() -> None:
    """It is the same class, under the name that it has always had."""
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r})"
    found = _run(sys.executable, "-c", code + _IMPORT.format(module="worker.client"))
    names = {name.partition(".")[0] for name in json.loads(found.replace("'", '"'))}
    assert names & HEAVY == set()


def test_the_wheel_has_the_worker_s_version_and_is_typed(python: str) -> None:
    """A bug report names one version."""
    project = tomllib.loads((WHEEL / "pyproject.toml").read_text())["project"]
    worker = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == worker["version"]
    assert project["dependencies"] == ["redis>=5"]
    files = (
        "from importlib.metadata import files; print([f.name for f in files('wix-refund-queue')])"
    )
    listed = _run(python, "-c", files)
    assert "'py.typed'" in listed
    assert {f"'{path.name}'" for path in WHEEL.glob("*.py")} <= set(
        listed.strip("[]\n").split(", ")
    )
