"""The Containerfile: its steps run in a plain directory, and the worker runs in the result."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from statemachine.flows import State
from tests.support.containerfile import SUITES, Image, build, lines_of, parse, why_not
from tests.support.processes import PATIENCE_S, announced, wait_until
from tests.support.rig import AFTER, KEY, STORE_ID, Rig
from worker.deploy.files import FOLDER
from worker.simulator import serve

ROOT = Path(__file__).parents[3]
TEXT = (FOLDER / "Containerfile").read_text()
#: What makes the root file system read-only, with one directory that can be written.
READ_ONLY = """
mount -t tmpfs -o uid=10001,gid=10001,mode=700 tmpfs "$0/var/lib/refunds"
mount -o remount,bind,ro "$0"
"""
#: How much may be added to the base image, Python with its library among it.
MOST_ADDED_MB = 160


def test_the_image_runs_as_nobody_in_particular() -> None:
    """The user is a number, so that Kubernetes can see that it is not root."""
    last = parse(TEXT)[-1]
    assert [rest for word, rest in last.steps if word == "USER"] == ["10001:10001"]
    assert all(stage.base in SUITES for stage in parse(TEXT))


def test_no_compiler_and_no_tool_gets_into_the_image() -> None:
    """What only the build needs stays in its stage."""
    assert len(parse(TEXT)) == 2
    [installed] = [rest for word, rest in parse(TEXT)[-1].steps if "apt-get install" in rest]
    assert "python3-venv" not in installed
    assert all(
        "--require-hashes" in line for line in lines_of(TEXT, "RUN") if "requirements" in line
    )


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    """The image, built from the wheel of this working copy."""
    if reason := why_not():
        pytest.skip(reason)
    context, place = tmp_path_factory.mktemp("context"), tmp_path_factory.mktemp("image")
    (context / "requirements.lock").write_bytes((FOLDER / "requirements.lock").read_bytes())
    wheel = (sys.executable, "-m", "pip", "--quiet", "wheel", "--no-deps", "--no-build-isolation")
    subprocess.run((*wheel, "-w", str(context), str(ROOT)), check=True)
    try:
        yield build(TEXT, context, place)
    finally:
        subprocess.run(("rm", "-rf", str(place)), check=False)


def test_the_steps_make_a_small_image(image: Image) -> None:
    """Without pip, without a compiler, and without what apt has downloaded."""
    base = image.root.parent / "base"
    assert _megabytes(image.root) - _megabytes(base) < MOST_ADDED_MB
    shell = image.shell("for tool in pip pip3 gcc make; do command -v $tool; done; id -u; pwd")
    done = subprocess.run(shell, capture_output=True, text=True, check=True, timeout=PATIENCE_S)
    assert done.stdout.split() == ["10001", "/var/lib/refunds"]
    assert list((image.root / "var/lib/apt/lists").glob("*")) == []


def _megabytes(root: Path) -> int:
    aside = ("--exclude=./var/cache", "--exclude=./var/lib/apt")  # the base image has none
    command = ("du", "--summarize", "--block-size=M", *aside, ".")
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    return int(done.stdout.split("M")[0])


def test_the_worker_runs_in_it(image: Image, rig: Rig) -> None:
    """On a read-only root file system; a refund succeeds, and SIGTERM ends it with 0."""
    refund_id = rig.request(rig.order(AFTER))
    with serve(rig.simulator) as wix_url:
        settings = {
            "REFUNDS_REDIS_URL": rig.settings.redis_url.get_secret_value(),
            "REFUNDS_NAMESPACE": rig.settings.namespace,
            "REFUNDS_WIX_BASE_URL": wix_url,
            "REFUNDS_STORES": json.dumps({STORE_ID: {"account_id": "a", "api_key": KEY}}),
        }
        [program] = image.command
        shell = image.shell(f"exec {program}", more=READ_ONLY, **settings)
        with subprocess.Popen(shell, stderr=subprocess.PIPE, text=True) as worker:
            try:
                wait_until(lambda: worker.poll() is not None or _is_refunded(rig, refund_id))
                worker.send_signal(signal.SIGTERM)
                _, log = worker.communicate(timeout=PATIENCE_S)
            finally:
                worker.kill()
    assert worker.returncode == 0, log
    lines = [json.loads(line) for line in log.splitlines()]
    assert {"worker.started", "worker.stopped"} <= {line["event"] for line in lines}
    warned = {line["check"] for line in lines if line["event"] == "doctor.warning"}
    assert warned <= {"latency"}, log  # this machine may be too busy for quick round trips


def _is_refunded(rig: Rig, refund_id: str) -> bool:
    record = rig.ledger.load(refund_id)
    return record is not None and record.state is State.REFUNDED


@pytest.mark.parametrize("name", ["api", "console"])
def test_the_servers_run_in_it(image: Image, rig: Rig, name: str) -> None:
    """On a read-only root file system, too; and what traces and reports of bugs need is there."""
    token = {"sha256": ["0" * 64]} | ({"stores": ["*"]} if name == "api" else {"role": "view"})
    settings = {
        "REFUNDS_REDIS_URL": rig.settings.redis_url.get_secret_value(),
        "REFUNDS_NAMESPACE": rig.settings.namespace,
        f"REFUNDS_{name.upper()}_TOKENS": json.dumps({"somebody": token}),
    }
    extras = "import opentelemetry.exporter.otlp.proto.http, opentelemetry.sdk, sentry_sdk"
    command = f"python3 -c '{extras}' && exec refunds {name} --port 0 --json"
    shell = image.shell(command, more=READ_ONLY, **settings)
    path = {"api": "/openapi.json", "console": "/sign-in"}[name]
    with subprocess.Popen(
        shell, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as server:
        try:
            assert httpx.get(announced(server)["url"] + path).status_code == 200
            server.send_signal(signal.SIGTERM)
            _, log = server.communicate(timeout=PATIENCE_S)
        finally:
            server.kill()
    assert server.returncode == 0, log
