"""`python -m worker`: what it does with its arguments, before it reads any setting."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version

import pytest

from worker.demo.embedded import environment_without_settings


def _worker(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the worker program without settings."""
    return subprocess.run(
        [sys.executable, "-m", "worker", *arguments],
        env=environment_without_settings(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help_is_printed_instead_of_starting_a_worker(option: str) -> None:
    """It names the program, and not the option that only the program itself uses."""
    done = _worker(option)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("usage: python -m worker")
    assert "--child" not in done.stdout


def test_the_version_is_printed_instead_of_starting_a_worker() -> None:
    """The same line as that of `refunds --version`."""
    done = _worker("--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"refunds {version('wix-refund-worker')}\n"


@pytest.mark.parametrize("argument", ["--chld", "--chil", "--processes=4", "start"])
def test_an_unknown_argument_is_refused(argument: str) -> None:
    """Exit code 2, and the argument is named; abbreviations are unknown, too."""
    done = _worker(argument)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"unrecognized arguments: {argument}" in done.stderr
