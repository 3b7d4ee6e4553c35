"""Runs `python -m worker` beside a rig."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from config.settings import Settings
from tests.support.processes import WORKER, environment_without_settings
from tests.support.rig import KEY, STORE_ID, Rig


@contextmanager
def worker(
    rig: Rig, wix_url: str, *, command: Sequence[str] = WORKER, **more: str
) -> Iterator[subprocess.Popen[str]]:
    """Run a worker program beside a rig, see `program`."""
    with program(rig.settings, wix_url, command=command, **more) as running:
        yield running


@contextmanager
def program(
    settings: Settings, wix_url: str, *, command: Sequence[str] = WORKER, **more: str
) -> Iterator[subprocess.Popen[str]]:
    """Run a worker program in its own process group; it is killed if the test leaves it running."""
    environment = environment_without_settings() | {
        "REFUNDS_REDIS_URL": settings.redis_url.get_secret_value(),
        "REFUNDS_NAMESPACE": settings.namespace,
        "REFUNDS_WIX_BASE_URL": wix_url,
        "REFUNDS_STORES": json.dumps({STORE_ID: {"account_id": "a", "api_key": KEY}}),
        "REFUNDS_LOG_FORMAT": "json",
        "REFUNDS_SCHEDULE_TICK_MS": "20",
        **more,
    }
    running = subprocess.Popen(
        command,
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield running
    finally:
        if running.poll() is None:
            os.killpg(running.pid, signal.SIGKILL)
        running.communicate()
