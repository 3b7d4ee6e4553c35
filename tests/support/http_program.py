"""Runs a command of ours that serves HTTP, as a program of its own."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.support.processes import (
    PATIENCE_S,
    REFUNDS,
    announced,
    environment_without_settings,
)
from tests.support.rig import KEY, STORE_ID


@contextmanager
def http_program(
    redis_url: str, namespace: str, *command: str, settings: Mapping[str, str]
) -> Iterator[tuple[str, subprocess.Popen[str], Path]]:
    """Run it on a free port; yield its address, the process and its log. It must end well."""
    common = {
        "REFUNDS_REDIS_URL": redis_url,
        "REFUNDS_NAMESPACE": namespace,
        "REFUNDS_STORES": json.dumps({STORE_ID: {"account_id": "a", "api_key": KEY}}),
        "REFUNDS_STORE_CALLS_PER_MIN": "0",
        "REFUNDS_LOG_FORMAT": "json",
    }
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        given = {**common, "REFUNDS_STATE_DIR": folder, **settings}
        with (
            log.open("w") as file,
            subprocess.Popen(
                [*REFUNDS, *command, "--port", "0", "--json"],
                env=environment_without_settings() | given,
                stdout=subprocess.PIPE,
                stderr=file,
                text=True,
            ) as process,
        ):
            try:
                yield announced(process, log)["url"], process, log
            finally:
                process.terminate()
            assert process.wait(PATIENCE_S) == 0, log.read_text()
