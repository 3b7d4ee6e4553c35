"""Runs the `refunds` commands in this process, because starting Python each time is slow."""

from __future__ import annotations

import contextvars
import io
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout

import pytest

from tests.support.logs import restored_logging
from tests.support.processes import environment_without_settings
from tests.support.rig import Rig
from worker.cli.main import main
from worker.observability import redaction

ORDER_ID = "67668940-527d-4465-94c6-5475d8c7a412"


def settings_of(rig: Rig) -> dict[str, str]:
    """Return the environment that lets a command use the rig's server and namespace."""
    return {
        "REFUNDS_REDIS_URL": rig.settings.redis_url.get_secret_value(),
        "REFUNDS_NAMESPACE": rig.settings.namespace,
    }


def refunds(
    rig: Rig | None, *arguments: str, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run `refunds` as the program does, with the rig's settings or those in *environment*."""
    given = environment if environment is not None else settings_of(rig) if rig else {}
    out, err = io.StringIO(), io.StringIO()
    try:
        with (
            restored_logging(),
            pytest.MonkeyPatch.context() as patch,
            redirect_stdout(out),
            redirect_stderr(err),
        ):
            patch.setattr(sys, "argv", ["refunds", *arguments])
            # A new process knows no secrets that earlier tests have registered.
            patch.setattr(redaction, "_VALUES", set())
            patch.setattr(redaction, "_PARTS", set())
            patch.setattr("os.environ", environment_without_settings() | given | {"COLUMNS": "200"})
            contextvars.copy_context().run(main)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(bool(end.code))
    else:
        code = 0
    return subprocess.CompletedProcess(arguments, code, out.getvalue(), err.getvalue())
