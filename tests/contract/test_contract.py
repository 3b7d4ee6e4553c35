"""Wix's own JavaScript client against the simulator.

This proves that Wix's published client can write and read what we simulate; it does not prove that
Wix behaves like the simulator. `make contract` requires Node and the packages; elsewhere the test
is skipped without them.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.npm import install
from worker.simulator import Simulator, serve

HERE = Path(__file__).parent
#: Set by `make contract`; then missing Node or packages are a failure.
INSISTS = os.environ.get("CONTRACT") == "1"


def _missing(why: str) -> None:
    if INSISTS:
        pytest.fail(why)
    pytest.skip(why)


def _node_is_new_enough() -> bool:
    said = subprocess.run(["node", "--version"], capture_output=True, text=True, check=False)
    version = said.stdout.strip().lstrip("v").split(".")[0]
    return version.isdecimal() and int(version) >= 20


def test_wixs_own_client_reads_and_writes_what_we_simulate() -> None:
    """Each endpoint that we use, with success and each documented error, through `@wix/sdk`."""
    if not (shutil.which("node") and shutil.which("npm") and _node_is_new_enough()):
        _missing("Node 20 or newer, with npm, is not installed")
    if why := install(HERE):
        _missing(why)
    with serve(Simulator()) as url:
        done = subprocess.run(
            ["node", "--test", "--test-reporter=spec", "contract.test.mjs"],
            cwd=HERE,
            env=os.environ | {"SIMULATOR_URL": url},
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    passed = re.search(r" pass (\d+)$", done.stdout, re.MULTILINE)
    assert passed is not None
    assert int(passed[1]) > 0
