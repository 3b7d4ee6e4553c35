"""`python -m worker`: what it does with its arguments, before it reads any setting."""

from __future__ import annotations

from importlib.metadata import version

import pytest

from tests.support.processes import WORKER, run_program
from worker.__main__ import main


def _in_process(argument: str, capsys: pytest.CaptureFixture[str]) -> tuple[object, str, str]:
    """Return exit code and output; starting Python for each argument would show the same."""
    with pytest.raises(SystemExit) as ended:
        main([argument])
    return (ended.value.code, *capsys.readouterr())


def test_help_is_printed_instead_of_starting_a_worker(capsys: pytest.CaptureFixture[str]) -> None:
    """It names the program, and not the option that only the program itself uses."""
    done = run_program([*WORKER, "--help"])
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("usage: python -m worker")
    assert "--child" not in done.stdout
    code, out, err = _in_process("-h", capsys)
    assert (code, out.startswith("usage: python -m worker"), err) == (0, True, "")


def test_the_version_is_printed_instead_of_starting_a_worker() -> None:
    """The same line as that of `refunds --version`."""
    done = run_program([*WORKER, "--version"])
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"refunds {version('wix-refund-worker')}\n"


def test_an_unknown_argument_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2, and the argument is named; abbreviations are unknown, too."""
    done = run_program([*WORKER, "--chld"])
    assert (done.returncode, done.stdout) == (2, "")
    assert "unrecognized arguments: --chld" in done.stderr
    for argument in ("--chil", "--processes=4", "start"):
        code, out, err = _in_process(argument, capsys)
        assert (code, out) == (2, "")
        assert f"unrecognized arguments: {argument}" in err
