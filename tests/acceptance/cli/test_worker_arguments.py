"""`python -m worker`: what it does with its arguments, before it reads any setting."""

from __future__ import annotations

from importlib.metadata import version

import pytest

from tests.support.processes import WORKER, run_program


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help_is_printed_instead_of_starting_a_worker(option: str) -> None:
    """It names the program, and not the option that only the program itself uses."""
    done = run_program([*WORKER, option])
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("usage: python -m worker")
    assert "--child" not in done.stdout


def test_the_version_is_printed_instead_of_starting_a_worker() -> None:
    """The same line as that of `refunds --version`."""
    done = run_program([*WORKER, "--version"])
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"refunds {version('wix-refund-worker')}\n"


@pytest.mark.parametrize("argument", ["--chld", "--chil", "--processes=4", "start"])
def test_an_unknown_argument_is_refused(argument: str) -> None:
    """Exit code 2, and the argument is named; abbreviations are unknown, too."""
    done = run_program([*WORKER, argument])
    assert (done.returncode, done.stdout) == (2, "")
    assert f"unrecognized arguments: {argument}" in done.stderr
