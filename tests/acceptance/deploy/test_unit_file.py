"""The systemd unit, checked by systemd's own tools where they are installed."""

from __future__ import annotations

import shutil
import subprocess
import sys
from configparser import RawConfigParser
from pathlib import Path

import pytest

from config.settings import Settings
from worker.deploy.files import FOLDER
from worker.process.children import OTHER_LEDGER

UNIT = FOLDER / "refunds-worker.service"
PROGRAM = "/opt/refunds/bin/refunds-worker"
#: `systemd-analyze security` rates from 0 (safe) to 10.
MOST_EXPOSURE = 1.5


def _systemd_analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze is not installed")
    command = ("systemd-analyze", *arguments)
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_systemd_understands_the_unit(tmp_path: Path) -> None:
    """With the path of a program that exists, because it checks that, too."""
    text = UNIT.read_text()
    assert text.count(PROGRAM) == 1
    unit = tmp_path / UNIT.name
    unit.write_text(text.replace(PROGRAM, sys.executable))
    done = _systemd_analyze("verify", str(unit))
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    unit.write_text(text.replace(PROGRAM, sys.executable).replace("Restart=", "Restrat="))
    assert "Restrat" in _systemd_analyze("verify", str(unit)).stderr


def test_the_unit_is_confined() -> None:
    """The tool rates what the process could reach if somebody took it over."""
    threshold = str(round(MOST_EXPOSURE * 10))
    done = _systemd_analyze("security", "--offline=yes", f"--threshold={threshold}", str(UNIT))
    assert done.returncode == 0, done.stdout


def test_the_unit_agrees_with_the_worker() -> None:
    """Running steps have their time, and what a restart cannot help is not repeated."""
    parsed = RawConfigParser(strict=False)
    parsed.optionxform = str  # type: ignore[assignment,method-assign]  # as the parser's documentation says
    parsed.read_string(UNIT.read_text())
    service = parsed["Service"]
    assert int(service["TimeoutStopSec"]) > Settings.model_fields["grace_s"].default
    assert service["Restart"] == "always"
    assert service["RestartPreventExitStatus"].split() == ["2", str(OTHER_LEDGER)]
    # A worker reads /proc/sys for the id of this boot.
    assert service.get("ProcSubset", "all") == "all"
